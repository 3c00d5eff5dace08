// A session older than 120 s is replaced while traffic flows (REKEY_AFTER_TIME, whitepaper §6.2), and not one packet is lost
// over it: in real time, both roles at once, for a virtual clock proves our arithmetic but not the other side's.

import t from 'tap';
import { Lab, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, ours, plan, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';
import type { Pair } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const seconds = 128;

const handshakes = ({ a, b }: Pair): { a: number; b: number } => ({
  a: a.latestHandshake(b.keys.publicKey),
  b: b.latestHandshake(a.keys.publicKey),
});

t.test('rekeying under traffic', { skip, timeout: 180_000 }, async t => {
  const labs = [new Lab('itp-'), new Lab('itp-')] as const;
  t.teardown(() => Promise.all(labs.map(lab => lab.close())));
  // The initiator of the old session is the one that renews it.
  const weInitiate = await connect(labs[0], ours(), wireguardGo(), { endpoints: 'left' });
  const theyInitiate = await connect(labs[1], ours(), wireguardGo(), { endpoints: 'right' });
  t.equal(weInitiate.a.namespace.ping(plan.b.inner4, 1), 1);
  t.equal(theyInitiate.b.namespace.ping(plan.a.inner4, 1), 1);
  const before = [handshakes(weInitiate), handshakes(theyInitiate)] as const;
  const count = seconds * 10;
  const [one, two] = await Promise.all([
    weInitiate.a.namespace.pingMeanwhile(plan.b.inner4, count, 0.1),
    theyInitiate.b.namespace.pingMeanwhile(plan.a.inner4, count, 0.1),
  ]);
  t.strictSame(one, { sent: count, received: count }, 'we initiated: no ping lost');
  t.strictSame(two, { sent: count, received: count }, 'they initiated: no ping lost');
  for (const [name, then, now] of [
    ['we initiated', before[0], handshakes(weInitiate)],
    ['they initiated', before[1], handshakes(theyInitiate)],
  ] as const) {
    for (const side of ['a', 'b'] as const) {
      const age = now[side] - then[side];
      t.ok(age >= 118 && age <= 127, `${name}, seen at ${side}: renewed after ${age} s`);
    }
  }
});
