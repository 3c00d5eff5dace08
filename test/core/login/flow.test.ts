// The whole story in one process: Core, Proxy, a fake gateway and a fake device, over real sockets on loopback.

import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SessionEvent } from '../../../src/control/clientapi/bodies.ts';
import { equalBytes, toBase64, toHex } from '../../../src/util/bytes.ts';
import { FakeAgent } from '../../fixtures/fakes/fakeagent.ts';
import { FakeClient, httpPost, watchSession } from '../../fixtures/fakes/fakeclient.ts';
import { soon } from '../../fixtures/soon.ts';
import { MailServer } from '../../fixtures/lab/mailserver.ts';
import { World } from '../../fixtures/lab/world.ts';

t.test('enrol, log in, use, lose Core, log out, revoke', async t => {
  const world = await World.start();
  t.teardown(() => world.stop());
  world.admin('user', 'add', 'ada');
  const { secret } = world.admin('user', 'totp', 'ada');
  world.admin('location', 'add', 'office', '--network', '10.77.0.0/24', '--endpoint', '127.0.0.1:51820');
  const client = new FakeClient(httpPost(world.base));
  const token = world.admin('device', 'token', 'ada')['token']!;
  const enrolled = await client.enrol(token);
  t.equal(enrolled.status, 200);
  t.equal(enrolled.value!.locations[0]!.config.addresses[0], '10.77.0.2/32');
  t.equal((await new FakeClient(httpPost(world.base)).enrol(token)).code, 'bad-token', 'a token works once');

  // No gateway: a named error, and the code is not used up.
  await client.start();
  t.equal((await client.step('totp', world.code(secret!))).code, 'no-agent');

  const agent = await FakeAgent.enrol(world.agentsPort, world.admin('agent', 'token', 'office')['token']!);
  t.teardown(() => agent.disconnect());
  await agent.connect();
  await client.start();
  t.same(client.login!.step, { methods: ['totp'], index: 1, of: 1 });
  t.equal((await client.step('totp', '000000')).code, 'denied');
  const granted = await client.step('totp', world.code(secret!));
  t.equal(granted.status, 200);
  if (granted.value === null || !('granted' in granted.value)) throw new Error('not granted');
  const { session, token: sessionToken, config } = granted.value;
  const psk = await client.psk(granted.value);
  const held = agent.held.get(client.device)!;
  t.ok(
    psk !== null && held.psk !== null && equalBytes(psk, held.psk),
    'client and gateway hold the same key',
  );
  t.same(config.gateways, [{ publicKey: toBase64(agent.wg.publicKey), endpoint: '127.0.0.1:51820' }]);

  const events: SessionEvent[] = [];
  await watchSession(world.base, sessionToken, event => events.push(event));
  agent.confirm(session.id);
  await soon(() => events.some(event => event.event === 'state' && event.confirmed));

  // Core goes away and comes back: the gateway's snapshot still has the grant.
  await world.core.close();
  t.equal((await client.start()).code, 'core-away');
  await world.startCore();
  await agent.until(() => agent.frames.filter(frame => frame.type === 'snapshotEnd').length === 2);
  t.ok(agent.held.get(client.device)!.live, 'the session survived the restart');
  t.equal(world.admin<unknown[]>('session', 'list').length, 1);

  // A second login takes over, with another key and a higher epoch.
  await client.start();
  const again = await client.step('totp', world.code(secret!));
  if (again.value === null || !('granted' in again.value)) throw new Error(again.text);
  t.equal(agent.held.get(client.device)!.epoch > held.epoch, true);
  t.equal(world.core.store.sessions.session(session.id)!.reason, 'superseded');
  const secondPsk = (await client.psk(again.value))!;
  t.notOk(equalBytes(secondPsk, psk!));

  // Logout by the user, seen by the gateway and by whoever watches.
  const later: SessionEvent[] = [];
  await watchSession(world.base, again.value.token, event => later.push(event));
  t.equal((await client.session('extend', again.value.session.id)).code, 'login-required');
  t.same((await client.session('logout', again.value.session.id)).value, { ended: true });
  await agent.until(() => !agent.held.get(client.device)!.live);
  await soon(() => later.some(event => event.event === 'ended' && event.reason === 'logout-user'));

  // Revoked by an administrator.
  await client.start();
  const third = await client.step('totp', world.code(secret!));
  if (third.value === null || !('granted' in third.value)) throw new Error(third.text);
  world.admin('session', 'revoke', '--device', client.device);
  await agent.until(() =>
    agent.frames.some(frame => frame.type === 'revoke' && frame.reason === 'revoked-admin'),
  );

  // Ended by the gateway.
  await client.start();
  const fourth = await client.step('totp', world.code(secret!));
  if (fourth.value === null || !('granted' in fourth.value)) throw new Error(fourth.text);
  const { id } = fourth.value.session;
  agent.confirm(id);
  agent.end(id, 'stale');
  await agent.until(() => agent.frames.some(frame => frame.type === 'noted' && frame.id === id));
  t.equal(world.core.store.sessions.session(id)!.reason, 'stale');
  t.equal(world.admin<{ ok: boolean }>('audit', 'verify').ok, true);

  // Nothing the Proxy carried and nothing anybody logged holds a key, a code or a token.
  const secrets = [psk!, secondPsk];
  const carried = Buffer.concat(world.carried);
  for (const key of secrets) {
    t.equal(carried.includes(Buffer.from(key)), false, 'no PSK in the bytes of the Proxy');
    for (const form of [toBase64(key), toHex(key), Buffer.from(key).toString('base64url')]) {
      t.equal(carried.includes(form), false);
      t.equal(
        world.lines.some(line => line.includes(form)),
        false,
        'no PSK in a log',
      );
    }
  }
  for (const word of [secret!, token, sessionToken, granted.value.granted])
    t.equal(
      world.lines.some(line => line.includes(word)),
      false,
      'no secret in a log',
    );
  t.ok(world.lines.length > 10);
  // Nor does Core keep it: what it sends again is sealed.
  for (const file of ['core.db', 'core.db-wal']) {
    const bytes = readFileSync(join(world.directory, file));
    for (const key of secrets)
      for (const form of [Buffer.from(key), toBase64(key), toHex(key)])
        t.equal(bytes.includes(form), false, `no PSK in ${file}`);
  }
});

t.test('a code by e-mail: bound to its login, good once, and it outlives Core', async t => {
  const mail = await MailServer.start();
  const world = await World.start();
  t.teardown(async () => {
    await world.stop();
    await mail.stop();
  });
  const client = new FakeClient(httpPost(world.base));
  client.now = world.clock;
  world.offsetMs = -120_000; // the fake gateway's clock stands: Core's reaches it when it grants
  world.admin('user', 'add', 'ada', '--email', 'ada@example.org');
  world.admin(
    'location',
    'add',
    'office',
    '--network=10.77.0.0/24',
    '--endpoint=127.0.0.1:51820',
    '--steps=email',
  );
  await client.enrol(world.admin('device', 'token', 'ada')['token']!);
  const restart = async (): Promise<void> => {
    await world.core.close();
    await world.startCore();
  };
  t.equal((await client.start()).code, 'no-method', 'no mail server is configured');
  world.newMailer = () => mail.mailer();
  await restart();
  const agent = await FakeAgent.enrol(world.agentsPort, world.admin('agent', 'token', 'office')['token']!);
  t.teardown(() => agent.disconnect());
  await agent.connect();

  await client.start();
  t.same(client.login!.step.methods, ['email']);
  const first = client.login!;
  const begun = await client.step('email', '');
  t.same(begun.value, {
    step: { methods: ['email'], index: 1, of: 1 },
    challenge: { method: 'email', show: 'a code was sent to a***@example.org', expiresIn: 600 },
  });
  const code = mail.codes()[0]!;
  t.match(mail.received[0], /Device: laptop[^]*Location: office[^]*Asked from: 127\.0\.0\.1/);
  t.equal((await client.step('email', '')).code, 'slow-down', 'one message in 30 s');

  await client.start();
  t.equal((await client.step('email', code)).code, 'denied', "another login's code");
  client.login = first;
  await restart();
  await agent.until(() => agent.frames.filter(frame => frame.type === 'snapshotEnd').length === 2);
  t.equal((await client.step('email', code === '00000000' ? '00000001' : '00000000')).code, 'denied');
  world.offsetMs += 60_000; // the wait that wrong answers cost
  t.equal((await client.step('email', '')).status, 200);
  t.equal((await client.step('email', code)).code, 'denied', 'a new code replaces the one before');
  world.offsetMs += 60_000;
  const answers = await Promise.all([1, 2].map(() => client.step('email', mail.codes()[1]!)));
  t.equal(answers.filter(answer => answer.value !== null && 'granted' in answer.value).length, 1);
  t.equal(world.admin<unknown[]>('session', 'list').length, 1, 'two right answers, one session');
  const secrets = [code, mail.codes()[1]!];
  t.notOk(
    secrets.some(secret => world.lines.join('\n').includes(secret)),
    'codes are in no log',
  );
  t.match(JSON.stringify(world.admin<unknown>('audit', 'show')), /"login\.challenged"/);
  mail.refuse = true;
  world.offsetMs += 60_000;
  await client.start();
  t.equal((await client.step('email', '')).code, 'not-sent');
});
