import t from 'tap';
import type { EnrolledLocation } from '../../../src/control/clientapi/bodies.ts';
import { generateX25519KeyPair } from '../../../src/control/trust/keys.ts';
import { grantedRequest, makeProof, proofKey, verifyProof } from '../../../src/control/trust/proof.ts';
import type { ProofRequest } from '../../../src/control/trust/proof.ts';

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

t.test('Core vouches for every field of a granted login', t => {
  const key = proofKey(location.privateKey, device.publicKey)!;
  const granted = {
    granted: 'xwing.a.b',
    login: 'AA',
    config: {
      addresses: ['10.66.0.2/32'],
      dns: ['10.66.0.1'],
      mtu: 1420,
      allowedIps: ['10.66.0.0/24'],
      keepalive: 25,
      gateways: [{ publicKey: 'AA', endpoint: 'gate.example:51820' }],
    },
    locations: [] as readonly EnrolledLocation[],
    session: { id: 's', location: 'l', expiresAt: 3, now: 2, stale: 180, idle: 0, claim: 60 },
    token: 'sps_x',
  };
  const enrolled = {
    ...{ id: 'l', name: 'Office', mfa: 'internal' as const, methods: ['totp'] },
    ...{ proofKey: 'AA', kem: 'xwing' as const },
  };
  const proof = makeProof(key, 'granted', grantedRequest('AA', 'BB', granted));
  const holds = (change: Partial<typeof granted>, login = 'BB', who = 'AA'): boolean =>
    verifyProof(key, 'granted', grantedRequest(who, login, { ...granted, ...change }), proof);
  t.ok(holds({}));
  t.notOk(holds({}, 'BC'));
  t.notOk(holds({}, 'BB', 'AB'));
  t.notOk(holds({ granted: 'xwing.a.c' }));
  t.notOk(holds({ token: 'sps_y' }));
  t.notOk(holds({ locations: [{ ...enrolled, config: granted.config }] }));
  for (const [name, value] of Object.entries(granted.session)) {
    const other = typeof value === 'number' ? value + 1 : `${value}x`;
    t.notOk(holds({ session: { ...granted.session, [name]: other } }), `session.${name}`);
  }
  for (const [name, value] of Object.entries(granted.config)) {
    const other = typeof value === 'number' ? value + 1 : [];
    t.notOk(holds({ config: { ...granted.config, [name]: other } }), `config.${name}`);
  }
  for (const gateway of [
    { publicKey: 'AB', endpoint: 'gate.example:51820' },
    { publicKey: 'AA', endpoint: 'gate.example:1' },
  ])
    t.notOk(holds({ config: { ...granted.config, gateways: [gateway] } }), JSON.stringify(gateway));
  t.end();
});

t.test('another device, or a low-order key, proves nothing', async t => {
  const stranger = proofKey(generateX25519KeyPair().privateKey, location.publicKey)!;
  const theirs = proofKey(location.privateKey, device.publicKey)!;
  t.notOk(verifyProof(theirs, 'start', request, makeProof(stranger, 'start', request)));
  t.equal(proofKey(location.privateKey, new Uint8Array(32)), null);
});
