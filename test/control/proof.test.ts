import t from 'tap';
import { generateX25519KeyPair } from '../../src/control/keys.ts';
import { makeProof, proofKey, verifyProof } from '../../src/control/proof.ts';
import type { ProofRequest } from '../../src/control/proof.ts';

const device = generateX25519KeyPair();
const location = generateX25519KeyPair();
const request: ProofRequest = {
  location: 'loc_1',
  device: 'AA',
  time: 1000,
  nonce: 'BB',
  details: ['xwing.x', 'totp'],
};

t.test('both sides come to the same key, and it covers every field', async t => {
  const mine = proofKey(device.privateKey, location.publicKey)!;
  const theirs = proofKey(location.privateKey, device.publicKey)!;
  const proof = makeProof(mine, 'start', request);
  t.ok(verifyProof(theirs, 'start', request, proof));
  t.notOk(verifyProof(theirs, 'logout', request, proof));
  const changes: Partial<ProofRequest>[] = [
    { location: 'loc_2' },
    { device: 'AB' },
    { time: 1001 },
    { nonce: 'BC' },
    { details: ['xwing.x'] },
    { details: ['xwing.x,totp'] },
  ];
  for (const change of changes)
    t.notOk(verifyProof(theirs, 'start', { ...request, ...change }, proof), JSON.stringify(change));
  for (const other of ['', 'AA==', `${proof} `, 'A'.repeat(44)])
    t.notOk(verifyProof(theirs, 'start', request, other));
});

t.test('another device, or a low-order key, proves nothing', async t => {
  const stranger = proofKey(generateX25519KeyPair().privateKey, location.publicKey)!;
  const theirs = proofKey(location.privateKey, device.publicKey)!;
  t.notOk(verifyProof(theirs, 'start', request, makeProof(stranger, 'start', request)));
  t.equal(proofKey(location.privateKey, new Uint8Array(32)), null);
});
