// H15: both sides initiate at once. Every order in which the network can deliver what follows, each message once, is tried;
// afterwards both sides must agree on a session and carry data both ways.

import t from 'tap';
import { nodeProvider } from '../fixtures/twins/nodecrypto.ts';
import { Pair } from '../fixtures/packets/pair.ts';
import type { Host } from '../fixtures/packets/pair.ts';

interface Flight {
  readonly to: Host;
  readonly from: Host;
  readonly bytes: Uint8Array;
}

/** Runs one world, taking `choices` at every fork and the first message after them; returns the width of each fork. */
function world(choices: readonly number[], limit: number): { pair: Pair; widths: number[] } {
  const pair = new Pair({ crypto: nodeProvider, seed: 15 });
  const flying: Flight[] = [];
  pair.filter = ({ from, bytes }) => {
    const [source, to] = from === 'alice' ? [pair.alice, pair.bob] : [pair.bob, pair.alice];
    flying.push({ to, from: source, bytes });
    return true;
  };
  pair.ping(pair.alice);
  pair.ping(pair.bob);
  const widths: number[] = [];
  while (flying.length > 0 && widths.length < limit) {
    const pick = choices[widths.length] ?? 0;
    widths.push(flying.length);
    const [{ to, from, bytes }] = flying.splice(pick, 1) as [Flight];
    pair.skip(1);
    to.udp(bytes, from.endpoint);
  }
  pair.filter = null;
  for (const { to, bytes } of flying) pair.inject(to, bytes);
  return { pair, widths };
}

t.test('H15 crossed initiations converge in every delivery order', async t => {
  const limit = 8;
  let worlds = 0;
  let choices: number[] = [];
  for (;;) {
    const { pair, widths } = world(choices, limit);
    worlds++;
    // Whoever lost out tries again after RekeyTimeout; in no order does it take longer.
    pair.run(12_000);
    pair.alice.packets.length = pair.bob.packets.length = 0;
    const verdicts = [pair.ping(pair.alice), pair.ping(pair.bob)];
    pair.run(100);
    const both = pair.alice.packets.length === 1 && pair.bob.packets.length === 1;
    const agree = pair.bobPeer.current?.localIndex === pair.alicePeer.current?.remoteIndex;
    if (!both || !agree || verdicts.join() !== 'ok,ok')
      t.fail(`order ${choices}: ${verdicts}, agree ${agree}`);

    // The next order, as an odometer whose digits have the widths just seen.
    let at = widths.length - 1;
    while (at >= 0 && (choices[at] ?? 0) + 1 >= widths[at]!) at--;
    if (at < 0) break;
    choices = Array.from({ length: at + 1 }, (_, i) => choices[i] ?? 0);
    choices[at]!++;
  }
  t.ok(worlds > 10, `${worlds} orders`);
  t.comment(`${worlds} orders`);
});

t.test('H15 any one message of the crossing may be lost', async t => {
  for (let lost = 0; lost < 8; lost++) {
    const pair = new Pair({ crypto: nodeProvider, seed: 16 + lost });
    let n = 0;
    pair.filter = () => n++ === lost;
    pair.ping(pair.alice);
    pair.ping(pair.bob);
    pair.run(12_000);
    pair.alice.packets.length = pair.bob.packets.length = 0;
    pair.ping(pair.alice);
    pair.ping(pair.bob);
    pair.run(100);
    t.same([pair.alice.packets.length, pair.bob.packets.length], [1, 1], `message ${lost}`);
  }
});
