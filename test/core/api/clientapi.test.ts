// The client API without sockets: shapes, codes, uniform answers, locks, event streams.

import t from 'tap';
import { generateX25519KeyPair } from '../../../src/control/trust/keys.ts';
import { silentLog } from '../../../src/control/log.ts';
import type { SessionEvent } from '../../../src/control/clientapi/bodies.ts';
import { paths } from '../../../src/control/clientapi/words.ts';
import { Api } from '../../../src/core/api/clientapi.ts';
import { Flow } from '../../../src/core/login/flow.ts';
import { totpCode, totpStep } from '../../../src/core/methods/totp.ts';
import { toBase64 } from '../../../src/util/bytes.ts';
import { FakeClient } from '../../fixtures/fakes/fakeclient.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';
import type { Line } from '../../fixtures/fakes/memorystore.ts';
import { fromBase32 } from '../../fixtures/lab/world.ts';

interface Scene {
  desk: Desk;
  api: Api;
  client: FakeClient;
  held: number[];
  code(offset?: number): string;
  line: Line;
  newClient(): FakeClient;
  source: string;
}

async function scene(...options: string[]): Promise<Scene> {
  const desk = new Desk();
  desk.admin('user', 'add', 'ada');
  const seed = fromBase32(desk.admin('user', 'totp', 'ada')['secret']!);
  const place = desk.admin(
    'location',
    'add',
    'office',
    '--network',
    '10.77.0.0/24',
    '--endpoint',
    'gate.example:51820',
    ...options,
  )['id']!;
  const { store, sessions, clock, random } = desk;
  const held: number[] = [];
  const flow = new Flow({ store, sessions, clock, random, log: silentLog });
  const api = new Api({
    store,
    sessions,
    flow,
    clock,
    random,
    log: silentLog,
    holdUntil: async (_at, ms) => void held.push(ms),
  });
  const agent = await desk.agent(place);
  const s = { source: '192.0.2.1' };
  const newClient = (): FakeClient => {
    const client = new FakeClient(async (path, body) => {
      const reply = await api.handle({ method: 'POST', path, source: s.source, body: JSON.stringify(body) });
      if (!('status' in reply)) throw new Error('a stream');
      return { status: reply.status, text: reply.body };
    });
    client.now = clock;
    return client;
  };
  const client = newClient();
  const enrolled = await client.enrol(desk.admin('device', 'token', 'ada')['token']!);
  if (enrolled.value === null) throw new Error(enrolled.text);
  return Object.assign(s, {
    desk,
    api,
    client,
    held,
    newClient,
    line: desk.connect(agent),
    code: (offset = 0) => totpCode(seed, totpStep(desk.now) + offset),
  });
}

t.test('a wrong proof is answered like a right one, and does nothing', async t => {
  const s = await scene();
  const right = await s.client.start({ methods: ['totp'] });
  s.held.length = 0;
  const wrong = await s.client.start({ keys: generateX25519KeyPair() });
  const unknown = s.newClient();
  unknown.enrolled = s.client.enrolled;
  const stranger = await unknown.start();
  for (const answer of [wrong, stranger]) {
    t.equal(answer.status, 200);
    t.same(Object.keys(answer.value!), Object.keys(right.value!));
    t.match(answer.value!.login, /^l_[a-z0-9]{20}$/);
  }
  t.same(wrong.value!.step, stranger.value!.step, 'whether the device exists or not');
  t.same(s.held, [150, 150], 'both are held back');
  t.equal(s.desk.store.db.all('SELECT * FROM logins').length, 1);
  const step = await unknown.step('totp', s.code());
  t.equal(step.code, 'denied', 'a right code for a decoy');
  t.equal(s.desk.store.people.userNamed('ada')!.totpStep, 0);
});

t.test('a replayed start is a decoy, a wrong clock is told', async t => {
  const s = await scene();
  const nonce = toBase64(s.desk.random(32));
  const first = await s.client.start({ nonce });
  const again = await s.client.start({ nonce });
  t.equal(again.status, 200);
  t.ok(s.desk.store.logins.login(first.value!.login, s.desk.now));
  t.equal(s.desk.store.logins.login(again.value!.login, s.desk.now), null);
  s.client.skewMs = -600_000;
  const skewed = await s.client.start();
  t.equal(skewed.code, 'clock-skew');
  t.match(skewed.text, new RegExp(`"time":${s.desk.now}`));
});

t.test('wrong codes wait, then lock, over restarts of everything but the store', async t => {
  const s = await scene();
  const said: (string | null)[] = [];
  for (let i = 0; i < 5; i++) {
    await s.client.start();
    said.push((await s.client.step('totp', '000000')).code);
  }
  t.same(said, ['denied', 'denied', 'denied', 'slow-down', 'slow-down']);
  await s.client.start();
  t.equal(
    (await s.client.step('totp', s.code())).code,
    'slow-down',
    'also for the right one, and start resets nothing',
  );
  s.source = '198.51.100.9';
  await s.client.start();
  t.equal(
    (await s.client.step('recovery', 'x')).code,
    'slow-down',
    'from elsewhere and by another method, too',
  );
  s.desk.now += 1000;
  await s.client.start();
  t.equal((await s.client.step('totp', s.code())).status, 200);
  t.equal(s.desk.store.logins.gate(`account/${s.desk.store.people.users()[0]!.id}`).failures, 0);
});

t.test('no code works twice, not even at once', async t => {
  const s = await scene();
  await s.client.start();
  const other = s.newClient();
  other.enrolled = s.client.enrolled;
  const code = s.code();
  const first = s.client.step('totp', code);
  const second = s.client.step('totp', code);
  const results = (await Promise.all([first, second])).map(answer => answer.code ?? 'granted').sort();
  t.same(results, ['denied', 'granted']);
  await s.client.start();
  t.equal((await s.client.step('totp', code)).code, 'denied');
});

t.test('a gateway that does not answer: the code counts, and is resumed', async t => {
  const s = await scene();
  s.line.answer = 'nothing';
  await s.client.start();
  const step = s.client.step('totp', s.code());
  while (s.line.of('grant').length === 0) await new Promise(resolve => setImmediate(resolve));
  t.equal((await s.client.step('resume', '')).code, 'slow-down', 'while the first is under way');
  s.desk.pass(5000);
  t.equal((await step).code, 'agent-timeout');
  s.line.answer = 'granted';
  const resumed = await s.client.step('resume', '');
  t.equal(resumed.status, 200);
  t.ok(await s.client.psk(resumed.value!));
  t.equal((await s.client.step('resume', '')).code, 'denied', 'one login, one session');
});

t.test('two steps', async t => {
  const s = await scene('--steps', 'totp/recovery');
  const { codes } = s.desk.admin<{ codes: string[] }>('user', 'recovery', 'ada');
  t.same((await s.client.start()).value!.step, { methods: ['totp'], index: 1, of: 2 });
  t.equal((await s.client.step('recovery', codes[0]!)).code, 'denied', 'in order');
  t.same((await s.client.step('totp', s.code())).value, { step: { methods: ['recovery'], index: 2, of: 2 } });
  const granted = await s.client.step('recovery', codes[0]!);
  t.ok(granted.value !== null && 'granted' in granted.value);
  t.same(s.desk.store.sessions.live()[0]!.methods, ['totp', 'recovery']);
});

t.test('KEM and methods', async t => {
  const s = await scene();
  t.equal((await s.client.start({ kem: 'x25519' })).code, 'kem-refused');
  s.desk.admin('location', 'set', 'office', '--allow-x25519');
  await s.client.start({ kem: 'x25519' });
  const granted = await s.client.step('totp', s.code());
  t.ok(await s.client.psk(granted.value!, true));
  t.equal((await s.client.start({ methods: ['recovery'] })).code, 'no-method', 'ada has no recovery codes');
});

t.test('disabled devices and users look like strangers', async t => {
  const s = await scene();
  s.desk.admin('device', 'disable', s.client.device);
  await s.client.start();
  t.equal((await s.client.step('totp', s.code())).code, 'denied');
  s.desk.admin('device', 'enable', s.client.device);
  await s.client.start();
  s.desk.admin('user', 'disable', 'ada');
  t.equal((await s.client.step('totp', s.code())).code, 'denied', 'disabled in the middle');
});

t.test('enrolment', async t => {
  const s = await scene();
  t.match(s.client.enrolled.locations[0], {
    name: 'office',
    mfa: 'internal',
    methods: ['totp', 'recovery'],
    kem: 'xwing',
    config: {
      addresses: ['10.77.0.2/32'],
      allowedIps: ['10.77.0.0/24'],
      keepalive: 25,
      gateways: [{ endpoint: 'gate.example:51820' }],
    },
  });
  const token = s.desk.admin('device', 'token', 'ada')['token']!;
  t.equal((await s.client.enrol(token)).code, 'key-taken');
  t.equal((await s.newClient().enrol(token)).status, 200, 'the token is still good');
  t.equal((await s.newClient().enrol(token)).code, 'bad-token');
  const late = s.desk.admin('device', 'token', 'ada', '--hours', '1')['token']!;
  s.desk.now += 3600_000;
  t.equal((await s.newClient().enrol(late)).code, 'bad-token');
  let answer: string | null = null;
  for (let i = 0; i < 40 && answer !== 'slow-down'; i++)
    answer = (await s.newClient().enrol(`spe_${'x'.repeat(32)}`)).code;
  t.equal(answer, 'slow-down', 'tokens cannot be guessed in bulk');
});

t.test('sessions: watch, extend, logout', async t => {
  const s = await scene();
  await s.client.start();
  const answer = (await s.client.step('totp', s.code())).value!;
  if (!('granted' in answer)) throw new Error('not granted');
  const get = (authorization?: string): ReturnType<Api['handle']> =>
    s.api.handle({
      method: 'GET',
      path: paths.session,
      source: 'x',
      body: '',
      ...(authorization === undefined ? {} : { authorization }),
    });
  for (const bad of [undefined, 'Bearer x', `Bearer sps_${'x'.repeat(32)}`, answer.token])
    t.match(await get(bad), { status: 401 });
  const reply = await get(`Bearer ${answer.token}`);
  if ('status' in reply) throw new Error(reply.body);
  const events: SessionEvent[] = [];
  reply.stream(event => events.push(event));
  t.equal((await s.client.session('extend', answer.session.id)).code, 'login-required');
  const stranger = s.newClient();
  stranger.enrolled = s.client.enrolled;
  t.equal((await stranger.session('logout', answer.session.id)).code, 'no-session');
  t.equal((await s.client.session('logout', 's_other')).code, 'no-session');
  s.client.skewMs = 600_000;
  t.equal((await s.client.session('logout', answer.session.id)).code, 'clock-skew');
  s.client.skewMs = 0;
  t.same((await s.client.session('logout', answer.session.id)).value, { ended: true });
  t.same((await s.client.session('logout', answer.session.id)).value, { ended: false });
  t.same(
    events.map(event => event.event),
    ['state', 'ended'],
  );
});

t.test('bad requests and our own faults', async t => {
  const s = await scene();
  const post = (path: string, body: string): ReturnType<Api['handle']> =>
    s.api.handle({ method: 'POST', path, source: 'x', body });
  for (const path of [paths.enrol, paths.start, paths.step, paths.extend, paths.logout])
    for (const body of ['', '[]', '{}', '{"login":1}']) t.match(await post(path, body), { status: 400 });
  t.match(await post('/api/v1/other', '{}'), { status: 404 });
  s.desk.store.close();
  const broken = await post(paths.step, '{"login":"l_x","method":"totp","response":"1"}');
  t.match(broken, { status: 500, body: /"internal"/ });
});

t.test(
  'a granted login tells where else the user may log in, unless they are too many for one answer',
  async t => {
    const s = await scene();
    s.desk.admin('location', 'add', 'lab', '--network', '10.78.0.0/24');
    s.desk.admin('location', 'add', 'vault', '--network', '10.79.0.0/24', '--groups', 'ops');
    const granted = async () => {
      await s.client.start();
      s.desk.now += 30_000;
      const { value, text } = await s.client.step('totp', s.code());
      if (value === null || !('granted' in value)) throw new Error(text);
      t.ok(s.client.isFromCore(value), "under Core's MAC");
      return { value, text };
    };
    t.same(
      (await granted()).value.locations?.map(location => location.name),
      ['lab', 'office'],
    );
    const many = Array.from({ length: 60 }, (_, i) => `192.168.${i}.0/24`).join(',');
    for (let i = 0; i < 40; i++)
      s.desk.admin(
        'location',
        'add',
        `place-${i}`,
        '--network',
        `10.${100 + i}.0.0/24`,
        '--allowed-ips',
        many,
      );
    const { value, text } = await granted();
    t.notOk('locations' in value);
    t.ok(text.length < 10_000);
  },
);
