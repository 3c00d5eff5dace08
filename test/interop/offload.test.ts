// The same packets whatever the kernel helps with: our side with and without offloads, against wireguard-go and against
// itself, with every cipher there is. A transfer in each direction must arrive whole, inside IPv4 and IPv6.

import t from 'tap';
import type { Test } from 'tap';
import { Lab, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, node26, ours, plan, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';
import type { Implementation } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const program = new URL('../fixtures/lab/transfer.ts', import.meta.url).pathname;

function variant(name: string, env: Record<string, string>): Implementation {
  const base = ours();
  return { ...base, name, env: { ...base.env, ...env } };
}

async function carries(t: Test, left: Implementation, right: Implementation): Promise<void> {
  const lab = new Lab('ofl-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, left, right);
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'ping');
  for (const [from, to, address] of [
    [a, b, plan.b.inner4],
    [b, a, plan.a.inner4],
    [a, b, plan.b.inner6],
    [b, a, plan.a.inner6],
  ] as const) {
    const server = to.namespace.start(node26, [program, 'serve', address, '5099']);
    t.ok(await until(() => server.stdout.includes('listening'), 10_000));
    const sender = from.namespace.start(node26, [program, 'send', address, '5099', '20000000', '7']);
    t.equal(await sender.ended, 0, `20 MB: ${sender.stdout.trim()}${sender.stderr.trim()}`);
  }
}

const without = variant('without offloads', { SALLYPORT_OFFLOAD: 'off' });
t.test('without offloads, to wireguard-go', { skip }, t => carries(t, without, wireguardGo()));
t.test('without offloads, to ourselves with them', { skip }, t => carries(t, without, ours()));
t.test('with offloads at both ends', { skip }, t => carries(t, ours(), ours()));
for (const crypto of ['openssl-evp', 'wasm-simd', 'wasm'])
  t.test(`${crypto}, to ourselves`, { skip }, t =>
    carries(t, variant(crypto, { SALLYPORT_CRYPTO: crypto }), ours()),
  );
