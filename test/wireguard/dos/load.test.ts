import t from 'tap';
import { HandshakeLoad } from '../../../src/wireguard/dos/load.ts';

t.test('M7 under load from an eighth of the queue, and for a second after', async t => {
  const load = new HandshakeLoad(1e9);
  load.pending(0, 511);
  t.equal(load.isUnder(0), false);
  load.pending(0, 512);
  t.equal(load.isUnder(0), true);
  t.equal(load.isUnder(999), true);
  t.equal(load.isUnder(1000), false);
});

t.test('M12 inline work: more in a second than the budget', async t => {
  const load = new HandshakeLoad(100);
  for (let i = 0; i < 100; i++) load.arrived(0);
  t.equal(load.isUnder(0), false, 'a burst of one second of budget');
  load.arrived(0);
  t.equal(load.isUnder(0), true);
  for (let at = 10; at < 5000; at += 10) load.arrived(at);
  t.equal(load.isUnder(4990), true, 'as long as demand stays at the budget');
  t.equal(load.isUnder(7000), false);
  for (let at = 10_000; at < 20_000; at += 11) load.arrived(at);
  t.equal(load.isUnder(20_000), false, 'below the budget: never');
});

t.test('a flood of any length is over two seconds after it ends', async t => {
  const load = new HandshakeLoad(100);
  for (let i = 0; i < 100_000; i++) load.arrived(0);
  load.arrived(1010);
  t.equal(load.isUnder(2020), false);
});
