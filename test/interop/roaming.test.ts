// Roaming (whitepaper §2.1, E1): the endpoint follows the last authenticated packet, across addresses, ports and
// families, whichever side moves, without a new handshake; and the answers leave from the address that was spoken to (E2).

import t from 'tap';
import { Lab, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, ours, plan, wg, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';
import type { Implementation } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);

for (const [name, left, right] of [
  ['we move', ours, wireguardGo],
  ['they move', wireguardGo, ours],
] as [string, () => Implementation, () => Implementation][])
  t.test(name, { skip, timeout: 60_000 }, async t => {
    const lab = new Lab('itp-');
    t.teardown(() => lab.close());
    const { a, b, cable } = await connect(lab, left(), right(), { endpoints: 'left' });
    const seen = (): string => b.endpoint(a.keys.publicKey);
    t.equal(a.namespace.ping(plan.b.inner4, 2), 2);
    t.equal(seen(), `${plan.a.outer4}:${plan.a.port}`);
    const handshake = a.latestHandshake(b.keys.publicKey);

    a.namespace.ip(`addr del ${plan.a.outer4}/24 dev ${cable}`);
    a.namespace.ip(`addr add 10.91.0.77/24 dev ${cable}`);
    if (name === 'we move') {
      // Debian's wireguard-go keeps sending from the address that is gone; only its rebinding below helps it.
      t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'a new address');
      t.equal(seen(), `10.91.0.77:${plan.a.port}`);
      t.equal(b.namespace.ping(plan.a.inner4, 3), 3, 'and they find it');
    }

    wg('set', a.ifname, 'listen-port', '51899');
    t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'a new port');
    t.equal(seen(), '10.91.0.77:51899');

    wg('set', a.ifname, 'peer', b.keys.publicKey, 'endpoint', `[${plan.b.outer6}]:${plan.b.port}`);
    t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'over to IPv6');
    t.equal(seen(), `[${plan.a.outer6}]:51899`);
    t.equal(b.namespace.ping(plan.a.inner6, 3), 3, 'and they follow');

    wg('set', a.ifname, 'peer', b.keys.publicKey, 'endpoint', `${plan.b.outer4}:${plan.b.port}`);
    t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'and back to IPv4');
    t.equal(a.latestHandshake(b.keys.publicKey), handshake, 'all of it in one session');
  });

t.test('answers leave from the address that was spoken to', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b, cable } = await connect(lab, wireguardGo(), ours(), { endpoints: 'left' });
  // Two addresses at our side; they speak to the second, which routing would not choose.
  b.namespace.ip(`addr add 10.91.0.200/24 dev ${cable}`);
  wg('set', a.ifname, 'peer', b.keys.publicKey, 'endpoint', `10.91.0.200:${plan.b.port}`);
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3);
  t.equal(a.endpoint(b.keys.publicKey), `10.91.0.200:${plan.b.port}`, 'their view of us did not change');
  t.equal(b.namespace.ping(plan.a.inner4, 3), 3);
  t.equal(a.endpoint(b.keys.publicKey), `10.91.0.200:${plan.b.port}`, 'nor when we speak first');
});
