// A gateway with two threads (SALLYPORT_THREADS=2) to wireguard-go and to itself: not a byte lost in a transfer, not a
// datagram behind a later one, and of a removed peer's keys no copy in either thread.

import t from 'tap';
import type { Test } from 'tap';
import { readdirSync, readFileSync } from 'node:fs';
import { searchMemory } from '../fixtures/fakes/memory.ts';
import { Lab, pause, until, whyNoLab } from '../fixtures/lab/netns.ts';
import {
  connect,
  newKeys,
  node26,
  plan,
  sallyport,
  Tunnel,
  whyNoPeers,
  wg,
  wireguardGo,
} from '../fixtures/lab/tunnels.ts';
import type { Implementation } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const program = (name: string): string => new URL(`../fixtures/${name}.ts`, import.meta.url).pathname;
const bytes = 30_000_000;
const datagrams = 20_000;

function twoThreads(): Implementation {
  const one = sallyport();
  return { ...one, name: 'two threads', env: { ...one.env, SALLYPORT_THREADS: '2' } };
}

/** Milliseconds of processor time of the thread called cipher thread; null where threads have no names (Node before 24). */
function cipherThreadMs(tunnel: Tunnel): number | null {
  const tasks = `/proc/${tunnel.process.pid}/task`;
  for (const id of readdirSync(tasks)) {
    if (readFileSync(`${tasks}/${id}/comm`, 'utf8').trim() !== 'cipher') continue;
    return Number(readFileSync(`${tasks}/${id}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  }
  return null;
}

async function transfer(t: Test, from: Tunnel, to: Tunnel, address: string, seed: number): Promise<void> {
  const server = to.namespace.start(node26, [program('lab/transfer'), 'serve', address, '5099']);
  t.ok(await until(() => server.stdout.includes('listening'), 10_000), 'server listens');
  const sender = from.namespace.start(node26, [
    program('lab/transfer'),
    ...['send', address, '5099', `${bytes}`, `${seed}`],
  ]);
  t.equal(await sender.ended, 0, `unchanged: ${sender.stdout.trim()}${sender.stderr.trim()}`);
  t.equal(await server.ended, 0);
}

async function sequence(t: Test, from: Tunnel, to: Tunnel, address: string): Promise<void> {
  const listener = to.namespace.start(node26, [
    program('sequence'),
    'listen',
    address,
    '5098',
    `${datagrams}`,
  ]);
  t.ok(await until(() => listener.stdout.includes('listening'), 10_000), 'listens');
  const sender = from.namespace.start(node26, [program('sequence'), 'send', address, '5098', `${datagrams}`]);
  t.equal(await sender.ended, 0);
  t.equal(await listener.ended, 0);
  const [, got, late] = /got (\d+) late (\d+)/.exec(listener.stdout)!;
  t.equal(late, '0', 'none behind a later one');
  t.ok(Number(got) > datagrams / 2, `${got} of ${datagrams} arrived`); // a busy machine may drop some
}

for (const [name, other] of [
  ['wireguard-go', wireguardGo()],
  ['itself', twoThreads()],
] as const)
  t.test(`two threads to ${name}`, { skip, timeout: 120_000 }, async t => {
    const lab = new Lab('itp-');
    t.teardown(() => lab.close());
    const { a, b } = await connect(lab, twoThreads(), other);
    t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'ping');
    const before = cipherThreadMs(a);
    await t.test('datagrams from us', t => sequence(t, a, b, plan.b.inner4));
    await t.test('datagrams to us', t => sequence(t, b, a, plan.a.inner4));
    await t.test('transfer from us', t => transfer(t, a, b, plan.b.inner4, 1));
    await t.test('transfer to us', t => transfer(t, b, a, plan.a.inner4, 2));
    const after = cipherThreadMs(a);
    if (before !== null && after !== null)
      t.ok(after - before > 20, `the cipher thread worked ${Math.round(after - before)} ms`);
    const stopped = await Promise.race([
      (process.kill(a.process.pid, 'SIGTERM'), a.process.ended),
      pause(5000),
    ]);
    t.equal(stopped, 0, 'both threads end when told');
  });

t.test('the keys of a removed peer are in neither thread', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const [na, nb] = [lab.namespace('a'), lab.namespace('b')];
  lab.cable(na, nb, [`${plan.a.outer4}/24`], [`${plan.b.outer4}/24`]);
  const keys = newKeys();
  const a = await Tunnel.start(lab, twoThreads(), na, plan.a.port);
  a.peer(keys.publicKey, ['allowed-ips', `${plan.b.inner4}/32`]);
  a.up([`${plan.a.inner4}/24`]);
  const start = cipherThreadMs(a);
  const far = nb.start(node26, [
    ...['--experimental-ffi', '--disable-warning=ExperimentalWarning', program('packets/farend')],
    ...[keys.privateKey, a.keys.publicKey, plan.a.outer4, `${plan.a.port}`, plan.b.inner4, plan.a.inner4],
  ]);
  t.ok(await until(() => far.stdout.includes('\n'), 15_000), `a session and its keys ${far.stderr}`);
  const sender = na.start(node26, [program('sequence'), 'send', plan.b.inner4, '5098', '2000']);
  t.equal(await sender.ended, 0);
  const [sending, receiving] = (JSON.parse(far.stdout) as string[]).map(text => Buffer.from(text, 'hex'));
  const needles = { sending: sending!, receiving: receiving! };
  const worked = cipherThreadMs(a);
  if (start !== null && worked !== null) t.ok(worked > start, 'the cipher thread had them');
  t.strictSame(
    searchMemory(a.process.pid, needles).found.sort(),
    ['receiving', 'sending'],
    'the search finds them',
  );
  wg('set', a.ifname, 'peer', keys.publicKey, 'remove');
  t.strictSame(searchMemory(a.process.pid, needles).found, [], 'no copy is left');
});
