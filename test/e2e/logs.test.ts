// No secret in any log, with every role at debug: through enrolment, a wrong code, a login, traffic, a logout and a revoke,
// nothing that looks like a token, grant, sealed key or code is written, and every key that is, is a public one.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { until } from '../../scripts/lib/world.ts';
import { Store } from '../../src/client/state.ts';
import { cannotStage, openHouse } from '../fixtures/system/house.ts';

// The tests run real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();

t.test('logs at debug level', { skip }, async t => {
  const stage = await openHouse({ logLevel: 'debug' });
  t.teardown(() => stage.close());
  const used: string[] = [];
  const code = (): string => {
    used.push(stage.code());
    return used.at(-1)!;
  };
  t.equal((await stage.login(stage.wrongCode())).code, 1);
  t.equal((await stage.login(code())).code, 0);
  t.equal((await stage.ping(5, 10)).answered, 5);
  const uapi = await stage.uapi();
  const secrets = [...uapi.matchAll(/^(?:private_key|preshared_key)=([0-9a-f]{64})$/gm)].map(
    match => match[1]!,
  );
  t.equal((await stage.client(['logout'])).code, 0);
  const again = await stage.login(code());
  t.equal(again.code, 0, again.stdout);
  await stage.revoke((JSON.parse(again.stdout) as { session: string }).session);
  await until(
    'the client to learn of it',
    10_000,
    async () => (await stage.clientStatus()).session.phase === 'ended',
  );

  const device = new Store(stage.clientDir).load();
  const [location] = device.enrolled.locations;
  secrets.push(Buffer.from(device.privateKey, 'base64').toString('hex'));
  const known = new Set([device.publicKey, location!.proofKey, location!.config.gateways[0]!.publicKey]);
  const logs: Record<string, string> = {
    core: stage.core!.log,
    proxy: stage.proxy!.log,
    agent: stage.agent!.log,
    client: readFileSync(stage.path(`client/${location!.id}.log`), 'utf8'),
  };
  for (const [name, log] of Object.entries(logs)) {
    t.ok(log.length > 0, `${name} logs`);
    for (const secret of secrets) {
      const bytes = Buffer.from(secret, 'hex');
      for (const form of [secret, bytes.toString('base64'), bytes.toString('base64url')])
        t.notOk(log.includes(form), `${name}: a private or pre-shared key`);
    }
    for (const code of used) t.notMatch(log, new RegExp(`\\b${code}\\b`), `${name}: a code`);
    t.notMatch(log, /sp[ejs]_[A-Za-z0-9_-]{20}/, `${name}: a token`);
    t.notMatch(log, /sp1\.[A-Za-z0-9_-]{20}/, `${name}: a grant`);
    t.notMatch(log, /(xwing|x25519)\.[A-Za-z0-9_-]{40}/, `${name}: a sealed key`);
    t.notMatch(log, /otpauth:/, `${name}: a seed`);
    for (const [key] of log.matchAll(/\b[A-Za-z0-9+/]{42}[A-Za-z0-9+/]=/g)) {
      t.ok(known.has(key), `${name}: ${key} is a public key`);
    }
  }
});
