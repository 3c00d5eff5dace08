import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { enrolDevice } from '../../src/client/enrol.ts';
import { Store } from '../../src/client/state.ts';
import { Front, enrolToken as token } from '../fixtures/system/front.ts';

t.test('a token becomes a device whose private key never leaves', async t => {
  const front = new Front();
  const proxy = await front.open();
  t.teardown(() => front.close());
  const store = new Store(join(t.testdir(), 's'));
  const state = await enrolDevice(store, { proxy, token, name: 'laptop' });
  t.strictSame(store.load(), state);
  t.match(state.enrolled, { user: 'ada', device: 'dev-1' });
  t.match(JSON.parse(front.bodies[0]!), { name: 'laptop', devicePublicKey: state.publicKey });
  t.notMatch(front.bodies[0], token, 'nor does the token');
  t.notMatch(front.bodies[0], state.privateKey);
  t.notMatch(readFileSync(store.file, 'utf8'), token, 'a spent token is not kept');
});

t.test('an answer that was changed on its way enrols nothing', async t => {
  const front = new Front();
  const proxy = await front.open();
  t.teardown(() => front.close());
  const store = new Store(join(t.testdir(), 's'));
  const stranger = Buffer.alloc(32, 9).toString('base64');
  type Answer = {
    enrolled: { user: string; locations: { proofKey: string; kem: string; config: object }[] };
    proof: string;
  };
  const changes: ((answer: Answer) => void)[] = [
    answer => (answer.enrolled.locations[0]!.proofKey = stranger),
    answer => (answer.enrolled.locations[0]!.kem = 'x25519-allowed'),
    answer =>
      Object.assign(answer.enrolled.locations[0]!.config, {
        gateways: [{ publicKey: stranger, endpoint: '198.51.100.1:1' }],
      }),
    answer => (answer.enrolled.locations = []),
    answer => (answer.enrolled.user = 'eve'),
    answer => (answer.proof = stranger),
  ];
  for (const change of changes) {
    front.meddle = answer => {
      const copy = structuredClone(answer) as Answer;
      change(copy);
      return copy;
    };
    await t.rejects(
      enrolDevice(store, { proxy, token, name: 'laptop' }),
      { code: 'not-from-core', exit: 1 },
      String(change),
    );
  }
  t.equal(store.isEnrolled, false);
});

t.test('what is wrong is said before the token is spent, and without quoting it', async t => {
  const store = new Store(join(t.testdir(), 's'));
  const options = { proxy: 'http://127.0.0.1:1/', name: 'laptop' };
  const nearly = `spe_${'b'.repeat(31)}`;
  await t.rejects(enrolDevice(store, { ...options, token: nearly }), { code: 'bad-token', exit: 2 });
  await enrolDevice(store, { ...options, token: nearly }).catch((error: Error) =>
    t.notMatch(error.message, nearly),
  );
  await t.rejects(enrolDevice(store, { ...options, token, name: 'a\nb' }), { code: 'bad-name', exit: 2 });
  await t.rejects(enrolDevice(store, { ...options, token }), { code: 'proxy-unreachable', exit: 1 });
  t.equal(store.isEnrolled, false);
});
