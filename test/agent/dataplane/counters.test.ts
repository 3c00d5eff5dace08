import t from 'tap';
import { Counters } from '../../../src/agent/dataplane/counters.ts';

t.test('drops by verdict, but not what was no drop', t => {
  const counters = new Counters();
  counters.verdict('replay', 3);
  counters.verdict('replay');
  for (const fine of ['ok', 'keepalive', 'staged'] as const) counters.verdict(fine, 9);
  counters.sendErrors = 2;
  counters.tunErrors = 1;
  const { drops } = counters.read([], '', 1);
  t.match(drops, { replay: 4, 'bad-mac1': 0, 'send-error': 2, 'tun-error': 1 });
  for (const fine of ['ok', 'keepalive', 'staged']) t.notOk(fine in drops, fine);
  t.end();
});

t.test('a batch falls into the first bucket that holds it, the largest into the last', t => {
  const counters = new Counters();
  for (const packets of [1, 2, 3, 4, 128, 129, 5000]) counters.batch(packets);
  const { batches } = counters.read([], '', 1);
  t.strictSame(batches.bounds, [1, 2, 4, 8, 16, 32, 64, 128]);
  t.strictSame(batches.counts, [1, 1, 2, 0, 0, 0, 0, 1, 2]);
  t.equal(batches.sum, 1 + 2 + 3 + 4 + 128 + 129 + 5000);
  t.end();
});

t.test('the lag is that since the last look; what was told before stays as it was', t => {
  const counters = new Counters();
  counters.loopLagMs = 7;
  counters.event('handshake-complete');
  counters.event('handshake-complete');
  const first = counters.read(['tso4'], 'openssl-raw', 2);
  t.match(first, { loopLagMs: 7, offloads: ['tso4'], crypto: 'openssl-raw', threads: 2 });
  counters.event('keys-zeroed');
  counters.batch(1);
  t.strictSame(first.handshakes, { 'handshake-complete': 2 });
  t.equal(first.batches.counts[0], 0);
  t.match(counters.read([], '', 1), {
    loopLagMs: 0,
    handshakes: { 'handshake-complete': 2, 'keys-zeroed': 1 },
  });
  t.end();
});
