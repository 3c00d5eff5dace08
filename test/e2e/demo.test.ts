// scripts/demo as a person would start it: every step of the contract, in order, each one held, and nothing left behind.

import { fileURLToPath } from 'node:url';
import t from 'tap';
import { run } from '../../scripts/lib/world.ts';

// The tests run real programs in a real network, on whatever machine this is.
t.setTimeout(420_000);

const demo = fileURLToPath(new URL('../../scripts/demo', import.meta.url));
const steps = [
  'core-up',
  'agent-connected',
  'enrolled',
  'no-grant-no-handshake',
  'wrong-code-refused',
  'mfa-ok',
  'grant-acked',
  'handshake',
  'traffic',
  'core-killed-traffic-continues',
  'core-back',
  'stale-logout',
  'traffic-stopped',
  'login-again',
  'admin-revoke',
];

t.test('the story holds from beginning to end', async t => {
  const before = (await run(['ip', 'netns', 'list'])).stdout;
  const { code, stdout, stderr } = await run([demo, '--json'], { timeoutMs: 380_000 });
  if (code !== 0) t.comment(stderr);
  const told = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { step: string; ok: boolean; ms: number } & Record<string, unknown>);
  t.strictSame(
    told.map(step => step.step),
    steps,
  );
  for (const step of told) {
    t.equal(step.ok, true, step.step);
    t.type(step.ms, 'number');
  }
  const fact = (name: string): Record<string, unknown> => told.find(step => step.step === name) ?? {};
  t.match(fact('no-grant-no-handshake'), { answers: 0 });
  t.ok(Number(fact('no-grant-no-handshake').initiations) >= 2);
  t.match(fact('wrong-code-refused'), { code: 'denied', answers: 0 });
  t.match(fact('traffic'), { bytes: 2 * 20 * 1024 * 1024 });
  t.ok(Math.abs(Number(fact('stale-logout').delayMs) - 10_000) < 1000);
  t.match(fact('traffic-stopped'), { fromGateway: 0, atLan: 0 });
  t.ok(Number(fact('admin-revoke').delayMs) < 1000);
  t.equal(code, 0);
  const mine = /^sp[0-9a-f]{4}-/;
  const after = (await run(['ip', 'netns', 'list'])).stdout.split('\n').filter(line => mine.test(line));
  t.strictSame(
    after.filter(line => !before.includes(line)),
    [],
    'no namespace is left',
  );
});

t.test('wrong use is one line and status 2', async t => {
  for (const args of [['--stale-after', '1'], ['--stale-after', 'soon'], ['--nonsense'], ['extra']]) {
    const { code, stderr } = await run([demo, ...args], { timeoutMs: 60_000 });
    t.equal(code, 2, args.join(' '));
    t.match(stderr, /scripts\/demo: [^\n]+\n$/, args.join(' '));
  }
});
