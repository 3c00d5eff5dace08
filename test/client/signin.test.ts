import t from 'tap';
import { Api } from '../../src/client/api.ts';
import { Server } from '../../src/client/daemon/server.ts';
import { signIn } from '../../src/client/signin.ts';
import { paths } from '../../src/control/clientapi/words.ts';
import { clientState, location } from '../fixtures/system/client.ts';
import { Front, info } from '../fixtures/system/front.ts';

async function stage(t: { teardown(handler: () => void): void }) {
  const front = new Front();
  const state = clientState(undefined, await front.open());
  t.teardown(() => front.close());
  const installed: string[] = [];
  const asked: (string | null)[] = [];
  const login = (codes: string[], tries = 1, works = true) =>
    signIn({
      server: new Server(new Api(state.proxy), state, location()),
      location: location(),
      device: state.publicKey,
      methods: [],
      tries,
      ask: (_, again) => {
        asked.push(again);
        const response = codes.shift();
        return Promise.resolve(response === undefined ? null : { method: 'totp', response });
      },
      install: psk => {
        installed.push(Buffer.from(psk).toString('hex'));
        return Promise.resolve(works);
      },
      sleep: () => Promise.resolve(),
    });
  return { front, login, installed, asked };
}

t.test('a right code brings the PSK that was sealed to this login', async t => {
  const { front, login, installed } = await stage(t);
  const granted = await login(['123456']);
  t.match(granted, { session: { id: 'session-1' }, config: { mtu: 1400 } });
  t.strictSame(installed, [Buffer.from(front.psk).toString('hex')]);
});

t.test('two steps, and a wrong code corrected by the person', async t => {
  const { front, login, asked } = await stage(t);
  front.steps = 2;
  await login(['999999', '123456', '123456'], 3);
  t.strictSame(asked, [null, 'the code is wrong', null]);
});

t.test('a wrong code with nobody to ask, a cancelled login, a silent gateway', async t => {
  const { login, installed } = await stage(t);
  await t.rejects(login(['999999']), { code: 'denied', exit: 1 });
  await t.rejects(login([]), { code: 'given-up' });
  t.strictSame(installed, []);
  await t.rejects(login(['123456'], 1, false), { code: 'gateway-silent' });
});

t.test('a seal made for another grant is not opened', async t => {
  const { front, login, installed } = await stage(t);
  front.mixUp = true;
  await t.rejects(login(['123456']), { code: 'bad-seal' });
  t.strictSame(installed, []);
});

t.test('an answer with another gateway, key or session than Core named is not taken', async t => {
  const { front, login, installed } = await stage(t);
  const stranger = Buffer.alloc(32, 9).toString('base64');
  for (const change of [
    {
      config: {
        ...location().config,
        mtu: 1400,
        gateways: [{ publicKey: stranger, endpoint: '198.51.100.1:1' }],
      },
    },
    { config: { ...location().config, mtu: 1400, allowedIps: ['0.0.0.0/0'] } },
    { session: { ...info(), stale: 86_400 } },
    { session: { ...info(), location: 'loc-2' } },
    { token: `sps_${'u'.repeat(32)}` },
    { proof: stranger },
  ]) {
    front.meddle = answer => ({ ...answer, ...change });
    await t.rejects(
      login(['123456']),
      { code: 'bad-seal', message: /not made by Core/ },
      JSON.stringify(change),
    );
  }
  t.strictSame(installed, []);
});

t.test('an answer of an earlier login is not taken for one of this', async t => {
  const { front, login, installed } = await stage(t);
  let first: object | undefined;
  front.meddle = answer => (first ??= answer);
  await login(['123456']);
  await t.rejects(login(['123456']), { code: 'bad-seal' });
  t.equal(installed.length, 1);
});

t.test('codes accepted but no gateway there: resumed without another code', async t => {
  const { front, login, asked } = await stage(t);
  front.refuse(paths.step, { status: 503, code: 'agent-timeout', message: 'no gateway answered' });
  await login(['123456']);
  t.equal(asked.length, 1);
});

t.test('a clock that is off is corrected once by what Core says', async t => {
  const { front, login } = await stage(t);
  const time = Date.now() + 3_600_000;
  front.refuse(paths.start, { status: 400, code: 'clock-skew', message: 'clock', time });
  await login(['123456']);
  const [first, second] = front.bodies.slice(0, 2).map(text => (JSON.parse(text) as { time: number }).time);
  t.ok(second! - first! > 3_500_000);
  front.refuse(
    paths.start,
    { status: 400, code: 'clock-skew', message: 'clock', time },
    { status: 400, code: 'clock-skew', message: 'clock', time },
  );
  await t.rejects(login(['123456']), { code: 'clock-skew' });
});
