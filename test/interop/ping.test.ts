// The smallest proof of interoperability: a ping through a tunnel to Debian's wireguard-go, we starting the handshake and
// they, with and without pre-shared key, IPv4 and IPv6 outside, both inside.

import t from 'tap';
import { Lab, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, ours, plan, wg, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);

for (const outer of [4, 6] as const)
  for (const withPsk of [false, true])
    for (const first of ['we', 'they'] as const) {
      const name = `${first} initiate, IPv${outer} outside, ${withPsk ? 'with' : 'without'} PSK`;
      t.test(name, { skip }, async t => {
        const lab = new Lab('itp-');
        t.teardown(() => lab.close());
        const psk = withPsk ? { psk: wg('genpsk') } : {};
        // Only the initiator knows where the other one is.
        const endpoints = first === 'we' ? 'left' : 'right';
        const { a, b } = await connect(lab, ours(), wireguardGo(), { outer, endpoints, ...psk });
        const [from, to] = first === 'we' ? ([a, plan.b] as const) : ([b, plan.a] as const);
        t.equal(from.namespace.ping(to.inner4, 5), 5, 'IPv4 inside');
        t.equal(from.namespace.ping(to.inner6, 5), 5, 'IPv6 inside');
        const [back, home] = first === 'we' ? ([b, plan.a] as const) : ([a, plan.b] as const);
        t.equal(back.namespace.ping(home.inner4, 3), 3, 'and back');
        t.equal(from.namespace.ping(to.inner4, 3, { bytes: 4000 }), 3, 'fragments');
        t.ok(a.latestHandshake(b.keys.publicKey) > 0, 'we saw a handshake');
        t.ok(b.latestHandshake(a.keys.publicKey) > 0, 'they saw a handshake');
        const [sent, got] = [a.transfer(b.keys.publicKey), b.transfer(a.keys.publicKey)];
        t.equal(sent.tx, got.rx, 'what we counted as sent they counted as received');
        t.equal(sent.rx, got.tx, 'and the reverse');
      });
    }
