import t from 'tap';
import { generateSignKeyPair, generateX25519KeyPair } from '../../../src/control/trust/keys.ts';
import { agentEnrolAnswer } from '../../../src/control/wire/agentchannel.ts';
import { enrolReply } from '../../../src/control/clientapi/bodies.ts';
import { answerProof, enrolSecret, requestProof } from '../../../src/control/trust/enrolment.ts';
import { generateKemKeyPair } from '../../../src/control/trust/seal.ts';
import { check } from '../../../src/control/validate.ts';
import { enrolAgent, enrolDevice, locationsFor, tunnelConfig } from '../../../src/core/login/enrol.ts';
import { toBase64 } from '../../../src/util/bytes.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const key = (): string => toBase64(generateX25519KeyPair().publicKey);

t.test('an agent joins with a token, once', async t => {
  const desk = new Desk();
  desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24', '--endpoint', 'all:1');
  const request = {
    joinToken: desk.admin('agent', 'token', 'office', '--endpoint', 'mine:2')['token']!,
    wgPublicKey: key(),
    signPublicKey: toBase64(generateSignKeyPair().publicKey),
    kemPublicKey: generateKemKeyPair().publicKey,
    name: 'gate',
  };
  const join = (change: object): ReturnType<typeof enrolAgent> =>
    enrolAgent(desk.store, { ...request, ...change }, 'x', desk.now, desk.random);
  t.match(join({ wgPublicKey: toBase64(new Uint8Array(32)) }), { ok: false, code: 'bad-key' });
  const joined = join({});
  if (!joined.ok) throw new Error(joined.code);
  t.ok(check(agentEnrolAnswer, joined.answer).ok);
  t.same(joined.answer.coreKeys, [toBase64(desk.store.signKey.publicKey)]);
  t.equal(desk.store.places.agents()[0]!.endpoint, 'mine:2');
  t.match(join({ wgPublicKey: key() }), { ok: false, code: 'bad-token' });
  const next = desk.admin('agent', 'token', 'office')['token']!;
  t.match(join({ joinToken: next }), { ok: false, code: 'key-taken' });
  t.ok(join({ joinToken: next, wgPublicKey: key() }).ok, 'the token was not used up by the mistake');
  const location = desk.store.places.locations()[0]!;
  const device = desk.device(desk.admin('user', 'add', 'ada')['id']!).id;
  const [first, second] = desk.store.places.agents();
  t.same(tunnelConfig(desk.store, location, device, new Set([second!.id]))!.gateways, [
    { publicKey: second!.wgPublic, endpoint: 'all:1' },
    { publicKey: first!.wgPublic, endpoint: 'mine:2' },
  ]);
});

t.test('a device gets every location its user may use', async t => {
  const desk = new Desk();
  desk.admin('user', 'add', 'ada', '--groups', 'dev');
  desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  desk.admin('location', 'add', 'lab', '--network', '10.78.0.0/30', '--groups', 'dev');
  desk.admin('location', 'add', 'vault', '--network', '10.79.0.0/24', '--groups', 'ops');
  const enrol = (): ReturnType<typeof enrolDevice> => {
    const { ticket, key: secret } = enrolSecret(desk.admin('device', 'token', 'ada')['token']!);
    const request = { ticket, devicePublicKey: key(), name: 'laptop' };
    return enrolDevice(
      desk.store,
      { ...request, proof: requestProof(secret, request) },
      'x',
      desk.now,
      desk.random,
      new Set(),
    );
  };
  const first = enrol();
  if (!first.ok) throw new Error(first.code);
  t.ok(check(enrolReply, first.answer).ok);
  t.same(
    first.answer.enrolled.locations.map(location => location.name),
    ['lab', 'office'],
  );
  const again = enrol();
  t.same(
    again.ok && again.answer.enrolled.locations.map(({ name }) => name),
    ['office'],
    'the lab has room for one',
  );
  t.match(desk.store.audit.entries(1)[0]?.record, {
    what: 'device.enrolled',
    reason: 'no free address: lab',
  });
  const user = desk.store.people.userNamed('ada')!;
  const second = desk.device(user.id, 'phone');
  t.same(
    locationsFor(desk.store, user, second.id, new Set()).map(location => location.name),
    ['office'],
    'a login is told where there is room: it must not fail for another place',
  );
  desk.admin('user', 'disable', 'ada');
  t.match(enrol(), { ok: false, code: 'bad-token' });
});

t.test('who only sees a ticket pass cannot register a key of theirs, nor spend the token', t => {
  const desk = new Desk();
  desk.admin('user', 'add', 'ada');
  desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  const { ticket, key: secret } = enrolSecret(desk.admin('device', 'token', 'ada')['token']!);
  const request = { ticket, devicePublicKey: key(), name: 'laptop' };
  const proof = requestProof(secret, request);
  const enrol = (change: object): ReturnType<typeof enrolDevice> =>
    enrolDevice(desk.store, { ...request, proof, ...change }, 'x', desk.now, desk.random, new Set());
  for (const change of [{ devicePublicKey: key() }, { name: 'other' }, { proof: key() }, { ticket: key() }])
    t.match(enrol(change), { ok: false, code: 'bad-token' }, JSON.stringify(change));
  const enrolled = enrol({});
  if (!enrolled.ok) throw new Error(enrolled.code);
  t.equal(enrolled.answer.proof, answerProof(secret, request.devicePublicKey, enrolled.answer.enrolled));
  const row = JSON.stringify(desk.store.db.get('SELECT * FROM tokens'));
  t.match(row, 'sealed_key');
  t.notMatch(row, toBase64(secret), 'the key is sealed in the store');
  t.match(enrol({ devicePublicKey: key() }), { ok: false, code: 'bad-token' }, 'once');
  t.end();
});

t.test('where every location is full, it is named, and nothing is half done', async t => {
  const desk = new Desk();
  desk.admin('user', 'add', 'ada');
  const { id } = desk.admin('location', 'add', 'lab', '--network', '10.78.0.0/30');
  const other = desk.device(desk.store.people.userNamed('ada')!.id);
  desk.store.places.allocate(desk.store.places.location(id!)!, other.id);
  const { ticket, key: secret } = enrolSecret(desk.admin('device', 'token', 'ada')['token']!);
  const request = { ticket, devicePublicKey: key(), name: 'laptop' };
  const enrol = (): ReturnType<typeof enrolDevice> =>
    enrolDevice(
      desk.store,
      { ...request, proof: requestProof(secret, request) },
      'x',
      desk.now,
      desk.random,
      new Set(),
    );
  t.same(enrol(), { ok: false, code: 'network-full', where: 'lab' });
  t.equal(desk.store.people.devices().length, 1);
  desk.admin('device', 'remove', other.id);
  t.ok(enrol().ok, 'the address of a removed device is free again, and the token was not spent');
});
