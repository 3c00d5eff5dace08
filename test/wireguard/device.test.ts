// The door: two devices meet, talk, and are configured.

import t from 'tap';
import { Pair, packet4, packet6 } from '../fixtures/pair.ts';

t.test('two devices handshake and carry packets both ways', async t => {
  const pair = new Pair();
  t.equal(pair.ping(), 'staged');
  pair.run(100);
  t.same(pair.bob.packets, [packet4(1, 2)]);
  t.equal(pair.ping(pair.bob), 'ok');
  pair.run(100);
  t.same(pair.alice.packets, [packet4(2, 1)]);
  t.equal(pair.alice.tun(packet6(1, 2, 100)), 'ok');
  pair.run(100);
  t.same(pair.bob.packets[1], packet6(1, 2, 100));
  t.equal(pair.seen(1).length, 1);
  t.equal(pair.seen(2).length, 1);
});
