// The agents' listener on loopback: enrolment, hellos that are not right, replacement.

import t from 'tap';
import { WebSocket } from 'ws';
import { generateSignKeyPair, signBytes } from '../../../src/control/trust/keys.ts';
import { silentLog } from '../../../src/control/log.ts';
import { agentProtocol, helloTranscript, readCoreFrame } from '../../../src/control/wire/agentchannel.ts';
import { paths } from '../../../src/control/clientapi/words.ts';
import { Agents } from '../../../src/core/agents/listener.ts';
import { StoreTrouble } from '../../../src/core/store/trouble.ts';
import { toBase64 } from '../../../src/util/bytes.ts';
import { FakeAgent } from '../../fixtures/fakes/fakeagent.ts';
import { soon } from '../../fixtures/soon.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

async function listening(t: {
  teardown(act: () => Promise<void>): void;
}): Promise<{ desk: Desk; port: number; agents: Agents }> {
  const desk = new Desk();
  desk.now = Date.now();
  desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  const { store, sessions, clock, random } = desk;
  const agents = new Agents({ store, sessions, clock, random, log: silentLog });
  const { port } = await agents.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => agents.close());
  return { desk, port, agents };
}

function closed(socket: WebSocket): Promise<number> {
  return new Promise(resolve => socket.on('close', resolve));
}

t.test('only a right hello gets in', async t => {
  const { desk, port } = await listening(t);
  const agent = await FakeAgent.enrol(port, desk.admin('agent', 'token', 'office')['token']!);
  const say = async (hello: (challenge: string) => string): Promise<number> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${paths.agentConnect}`, agentProtocol);
    socket.on('message', data => {
      const frame = readCoreFrame(String(data));
      if (frame.kind === 'frame' && frame.frame.type === 'challenge') socket.send(hello(frame.frame.nonce));
    });
    return closed(socket);
  };
  const base = {
    agentId: agent.enrolment.agentId,
    bootId: 'b',
    version: '1',
    caps: [],
    nonce: toBase64(new Uint8Array(32)),
  };
  const signed = (challenge: string, hello: typeof base, key = agent.sign.privateKey): string =>
    JSON.stringify({
      type: 'hello',
      ...hello,
      signature: toBase64(signBytes(key, helloTranscript(challenge, hello))),
    });
  t.equal(
    await say(challenge => signed(challenge, base, generateSignKeyPair().privateKey)),
    4001,
    'another key',
  );
  t.equal(await say(() => signed('other', base)), 4001, 'an old challenge');
  t.equal(await say(challenge => signed(challenge, { ...base, agentId: 'a_none' })), 4001, 'nobody');
  t.equal(await say(() => '{"type":"pong","n":1}'), 4005, 'something else first');
  t.equal(await say(() => '{"type":"hello"}'), 4000, 'malformed');
  t.same(desk.sessions.hub.connected(), []);
  await agent.connect();
  t.same(desk.sessions.hub.connected(), [agent.enrolment.agentId]);
  const second = new WebSocket(`ws://127.0.0.1:${port}${paths.agentConnect}`, agentProtocol);
  second.on('message', data => {
    const frame = readCoreFrame(String(data));
    if (frame.kind === 'frame' && frame.frame.type === 'challenge')
      second.send(signed(frame.frame.nonce, base));
    if (frame.kind === 'frame' && frame.frame.type === 'snapshotEnd') second.send(signed('', base));
  });
  agent.disconnect();
  t.equal(await closed(second), 4005, 'a second hello');
});

t.test('HTTP', async t => {
  const { desk, port } = await listening(t);
  const base = `http://127.0.0.1:${port}`;
  const post = async (body: string): Promise<[number, string]> => {
    const response = await fetch(base + paths.agentEnrol, { method: 'POST', body });
    return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
  };
  t.equal((await fetch(`${base}/healthz`)).status, 200);
  t.equal((await fetch(`${base}/other`)).status, 404);
  t.same(await post('{'), [400, 'bad-request']);
  t.same(await post('x'.repeat(20_000)), [413, 'too-large']);
  await t.rejects(FakeAgent.enrol(port, `spj_${'x'.repeat(32)}`), /403.*bad-token/);
  const token = desk.admin('agent', 'token', 'office')['token']!;
  const agent = await FakeAgent.enrol(port, token);
  t.equal(agent.enrolment.location, desk.store.places.locations()[0]!.id);
  const gate = { failures: 99, lastAt: desk.now, lockedUntil: desk.now + 1000, locks: 0 };
  desk.store.logins.saveGate('source/127.0.0.1', gate);
  await t.rejects(FakeAgent.enrol(port, token), /429.*slow-down/);
  for (const [path, protocol] of [
    ['/wrong', agentProtocol],
    [paths.agentConnect, 'other'],
  ]) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocol);
    t.match(await new Promise<Error>(resolve => socket.on('error', resolve)), { message: /400/ });
  }
});

t.test('a database that takes nothing: enrolment is refused, frames are kept', async t => {
  const { desk, port, agents } = await listening(t);
  const token = desk.admin('agent', 'token', 'office')['token']!;
  desk.store.db.get('PRAGMA query_only = 1');
  await t.rejects(FakeAgent.enrol(port, token), /503.*store-read-only/);
  desk.store.db.get('PRAGMA query_only = 0');
  const agent = await FakeAgent.enrol(port, token);
  const { hub } = desk.sessions;
  const receive = hub.receive.bind(hub);
  const taken: string[] = [];
  let faulty = true;
  let refused = 0;
  hub.receive = (id, frame): boolean => {
    if (faulty) {
      refused++;
      throw new StoreTrouble('store-full', null);
    }
    taken.push(frame.type);
    return receive(id, frame);
  };
  await agent.connect();
  await soon(() => refused > 0);
  agents.tick();
  t.same(taken, []);
  faulty = false;
  agents.tick();
  agents.tick();
  t.same(taken, ['synced'], 'once');
  agent.disconnect();
});
