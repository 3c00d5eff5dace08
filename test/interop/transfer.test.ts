// 100 MB through a tunnel to wireguard-go, each way, with a checksum at the end: segmentation offload, coalescing, padding
// and rekeying must not cost a byte. Both ends check the hash themselves, outside the tunnel's own authentication.

import t from 'tap';
import type { Test } from 'tap';
import { Lab, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, node26, ours, plan, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';
import type { Tunnel } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const program = new URL('../fixtures/lab/transfer.ts', import.meta.url).pathname;
const bytes = 100_000_000;

async function transfer(t: Test, from: Tunnel, to: Tunnel, address: string, seed: number): Promise<void> {
  const server = to.namespace.start(node26, [program, 'serve', address, '5099']);
  t.ok(await until(() => server.stdout.includes('listening'), 10_000), 'server listens');
  const sender = from.namespace.start(node26, [program, 'send', address, '5099', `${bytes}`, `${seed}`]);
  t.equal(
    await sender.ended,
    0,
    `${bytes} bytes arrived unchanged: ${sender.stdout.trim()}${sender.stderr.trim()}`,
  );
  t.equal(await server.ended, 0);
}

t.test('100 MB each way', { skip, timeout: 120_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, ours(), wireguardGo());
  await t.test('from us, IPv4', t => transfer(t, a, b, plan.b.inner4, 1));
  await t.test('to us, IPv4', t => transfer(t, b, a, plan.a.inner4, 2));
  await t.test('from us, IPv6', t => transfer(t, a, b, plan.b.inner6, 3));
  await t.test('to us, IPv6', t => transfer(t, b, a, plan.a.inner6, 4));
});
