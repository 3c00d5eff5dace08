import t from 'tap';
import { answerProof, enrolSecret, isProof, requestProof } from '../../../src/control/trust/enrolment.ts';
import { fromBase64 } from '../../../src/util/bytes.ts';

const token = `spe_${'a'.repeat(32)}`;
const location = {
  id: 'l',
  name: 'Office',
  mfa: 'internal' as const,
  methods: ['totp'],
  proofKey: 'AA',
  kem: 'xwing' as const,
  config: {
    addresses: ['10.66.0.2/32'],
    dns: [],
    mtu: 1420,
    allowedIps: ['10.66.0.0/24'],
    keepalive: 25,
    gateways: [],
  },
};
const answer = { device: 'd', user: 'ada', locations: [location] };

t.test('ticket and key come of the token, and neither tells the other', t => {
  const { ticket, key } = enrolSecret(token);
  t.same(enrolSecret(token), { ticket, key });
  t.equal(key.length, 32);
  t.equal(fromBase64(ticket)!.length, 32);
  t.notSame(fromBase64(ticket), key);
  const other = enrolSecret(`spe_${'a'.repeat(31)}b`);
  t.not(other.ticket, ticket);
  t.notSame(other.key, key);
  t.end();
});

t.test('the request: key and name are under the MAC', t => {
  const { ticket, key } = enrolSecret(token);
  const request = { ticket, devicePublicKey: 'AA', name: 'laptop' };
  const proof = requestProof(key, request);
  t.ok(isProof(proof, requestProof(key, request)));
  for (const change of [{ ticket: 'x' }, { devicePublicKey: 'AB' }, { name: 'laptop2' }])
    t.notOk(isProof(proof, requestProof(key, { ...request, ...change })), JSON.stringify(change));
  t.notOk(isProof(proof, requestProof(enrolSecret('spe_').key, request)));
  for (const broken of ['', 'AA==', `${proof}=`, 'ä']) t.notOk(isProof(broken, proof), broken);
  t.end();
});

t.test('the answer: every field is under the MAC, for this device key', t => {
  const { key } = enrolSecret(token);
  const proof = answerProof(key, 'AA', answer);
  t.not(answerProof(key, 'AB', answer), proof);
  for (const change of [
    { device: 'e' },
    { user: 'eve' },
    { locations: [] },
    { locations: [location, location] },
  ])
    t.not(answerProof(key, 'AA', { ...answer, ...change }), proof, JSON.stringify(change));
  for (const name of Object.keys(location)) {
    const changed = { ...location, [name]: name === 'config' ? { ...location.config, mtu: 1400 } : 'x' };
    t.not(answerProof(key, 'AA', { ...answer, locations: [changed] }), proof, name);
  }
  t.not(proof, requestProof(key, { ticket: 'AA', devicePublicKey: 'd', name: 'ada' }));
  t.end();
});
