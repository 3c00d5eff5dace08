import t from 'tap';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  loadEnrolment,
  loadIdentity,
  saveConfig,
  saveEnrolment,
} from '../../../src/agent/control/identity.ts';
import {
  generateSignKeyPair,
  signBytes,
  verifyBytes,
  x25519PublicKey,
} from '../../../src/control/trust/keys.ts';
import { toBase64 } from '../../../src/util/bytes.ts';

const noWarning = (message: string): void => {
  throw new Error(message);
};
const config = { location: 'loc_1', name: 'office', addresses: ['10.77.0.1/24'], mtu: 1420, keepalive: 25 };

t.test('keys are made once and belong together', async t => {
  const directory = t.testdir();
  const made = await loadIdentity(directory, false, noWarning);
  t.equal(statSync(join(directory, 'keys.json')).mode & 0o777, 0o600);
  const read = await loadIdentity(directory, false, noWarning);
  t.strictSame(read, made);
  t.strictSame(x25519PublicKey(read.wireguard.privateKey), read.wireguard.publicKey);
  const message = new Uint8Array(3);
  t.ok(verifyBytes(read.sign.publicKey, message, signBytes(read.sign.privateKey, message)));
  t.equal(read.kem.kem, 'xwing');
  t.equal((await loadIdentity(directory, true, noWarning)).kem.kem, 'xwing', 'the choice is made once');
  t.equal((await loadIdentity(t.testdir({ other: {} }), true, noWarning)).kem.kem, 'x25519');
});

t.test('enrolment', async t => {
  const directory = t.testdir();
  t.equal(loadEnrolment(directory, noWarning), null);
  const key = generateSignKeyPair().publicKey;
  const answer = { agentId: 'a_1', location: 'loc_1', coreKeys: [toBase64(key)], config };
  const saved = await saveEnrolment(directory, 'https://core.example', answer);
  t.strictSame(loadEnrolment(directory, noWarning), saved);
  t.strictSame(saved.coreKeys, [key]);
  await saveConfig(directory, { ...config, mtu: 1380 }, noWarning);
  const after = loadEnrolment(directory, noWarning)!;
  t.equal(after.config.mtu, 1380);
  t.strictSame(after.coreKeys, [key], 'who Core is stays');
  t.match(readFileSync(join(directory, 'agent.json'), 'utf8'), 'https://core.example');
  await t.rejects(saveConfig(t.testdir({ other: {} }), config, noWarning), {
    message: /agent\.json: missing/,
  });
});
