// The pre-shared key is the second door: with a wrong one, or one on only one side, no inner packet passes in either
// direction, with either side as initiator (P1-P6); with the right one the same tunnel works at once.

import t from 'tap';
import { Lab, pause, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, ours, plan, wg, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';
import type { Tunnel } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);

/** Packets the tunnel process delivered to the kernel. */
function delivered(tunnel: Tunnel): number {
  const file = `/sys/class/net/${tunnel.ifname}/statistics/rx_packets`;
  return Number(tunnel.namespace.run('cat', [file]).stdout);
}

for (const [name, left, right] of [
  ['two different keys', true, true],
  ['a key only at our side', true, false],
  ['a key only at theirs', false, true],
] as const)
  t.test(name, { skip, timeout: 60_000 }, async t => {
    const lab = new Lab('itp-');
    t.teardown(() => lab.close());
    const psk = wg('genpsk');
    const { a, b } = await connect(lab, ours(), wireguardGo());
    // Never a moment without the mismatch: set before the first packet.
    if (left) a.peer(b.keys.publicKey, [], wg('genpsk'));
    if (right) b.peer(a.keys.publicKey, [], psk);
    // Up happened before: whatever the kernel sent by itself may have made a session; forget it.
    for (const [tunnel, other] of [
      [a, b],
      [b, a],
    ] as const)
      t.equal(tunnel.transfer(other.keys.publicKey).rx, 0, 'nothing has passed yet');
    const fromA = a.namespace.pingMeanwhile(plan.b.inner4, 8, 0.5);
    const fromB = b.namespace.pingMeanwhile(plan.a.inner4, 8, 0.5);
    t.equal((await fromA).received, 0, 'no answer for us');
    t.equal((await fromB).received, 0, 'no answer for them');
    t.equal(delivered(a), 0, 'we delivered nothing');
    t.equal(delivered(b), 0, 'they delivered nothing');
    a.peer(b.keys.publicKey, [], psk);
    b.peer(a.keys.publicKey, [], psk);
    await pause(100);
    // The next initiation comes 5 s after the last at the latest.
    t.ok(
      await until(() => a.namespace.ping(plan.b.inner4, 1, { waitS: 1 }) === 1, 15_000, 200),
      'right key: it works',
    );
    t.equal(b.namespace.ping(plan.a.inner4, 3), 3, 'both ways');
  });
