import t from 'tap';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { RateLimiter } from '../../../src/wireguard/dos/ratelimiter.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

function from4(...address: number[]): Endpoint {
  const endpoint = new Endpoint();
  endpoint.family = 4;
  endpoint.address.set(address);
  return endpoint;
}

function from6(high: number, low: number): Endpoint {
  const endpoint = new Endpoint();
  endpoint.family = 6;
  const view = new DataView(endpoint.address.buffer);
  view.setUint32(0, 0x20010db8);
  view.setUint32(4, high);
  view.setUint32(12, low);
  return endpoint;
}

/** How many of `n` handshakes at one moment pass. */
function passed(limiter: RateLimiter, now: number, from: Endpoint, n: number): number {
  let count = 0;
  for (let i = 0; i < n; i++) if (limiter.allow(now, from)) count++;
  return count;
}

t.test('M9 a burst of 5, then one each 50 ms', async t => {
  const limiter = new RateLimiter(1);
  const from = from4(192, 0, 2, 1);
  t.equal(passed(limiter, 1000, from, 20), 5);
  t.equal(passed(limiter, 1049, from, 20), 0);
  t.equal(passed(limiter, 1050, from, 20), 1);
  t.equal(passed(limiter, 1150, from, 20), 2);
  t.equal(passed(limiter, 1400, from, 20), 5, 'refilled');
  t.equal(passed(limiter, 9999, from, 20), 5, 'never more than the burst');
});

t.test('M9 20 a second in the long run, however hard one knocks', async t => {
  const limiter = new RateLimiter(2);
  const from = from4(192, 0, 2, 2);
  let count = 0;
  for (let now = 0; now < 10_000; now++) count += passed(limiter, now, from, 3);
  t.equal(count, 5 + 199);
});

t.test('M9 addresses are separate, ports are not', async t => {
  const limiter = new RateLimiter(3);
  const one = from4(192, 0, 2, 1);
  t.equal(passed(limiter, 0, one, 9), 5);
  one.port = 999;
  t.equal(passed(limiter, 0, one, 9), 0);
  t.equal(passed(limiter, 0, from4(192, 0, 2, 2), 9), 5);
  t.equal(passed(limiter, 0, from4(192, 0, 3, 1), 9), 5);
});

t.test('M9 one bucket per IPv6 /64', async t => {
  const limiter = new RateLimiter(4);
  t.equal(passed(limiter, 0, from6(7, 1), 4), 4);
  t.equal(passed(limiter, 0, from6(7, 0xffffffff), 4), 1, 'another /128 of the same /64');
  t.equal(passed(limiter, 0, from6(8, 1), 9), 5, 'the next /64');
  // 2001:db8:: as IPv4 would have the same first word.
  t.equal(passed(limiter, 0, from4(0x20, 0x01, 0x0d, 0xb8), 9), 5);
  t.equal(passed(limiter, 0, from6(0, 0), 9), 5, 'families do not meet');
});

const seed = seedOf(11);
t.test(
  `M9 a million addresses do not grow the table, and the old ones are collected (seed ${seed})`,
  async t => {
    const limiter = new RateLimiter(seed, 1024);
    const rng = seeded(seed);
    const from = from4(0, 0, 0, 0);
    let admitted = 0;
    for (let i = 0; i < 1_000_000; i++) {
      new DataView(from.address.buffer).setUint32(0, rng.u32());
      if (limiter.allow(0, from)) admitted++;
    }
    t.ok(admitted <= 1024 * 5 && admitted >= 1000, `${admitted} admitted by a full table`);
    let later = 0;
    for (let i = 0; i < 200; i++) if (limiter.allow(1000, from6(rng.u32(), 1))) later++;
    t.ok(later >= 190, `${later} of 200 newcomers a second later`);
  },
);

t.test(`M9 agrees with an unbounded twin while the table has room (seed ${seed})`, async t => {
  const limiter = new RateLimiter(seed);
  const twin = new Map<string, { credit: number; last: number }>();
  const rng = seeded(seed);
  let now = 0;
  for (let i = 0; i < 50_000; i++) {
    now += rng.below(8);
    const from = rng.chance(0.5) ? from4(10, 0, 0, rng.below(40)) : from6(rng.below(40), rng.u32());
    const name = String(from.address.subarray(0, from.family === 4 ? 4 : 8));
    const bucket = twin.get(name) ?? { credit: 5, last: now };
    const credit = Math.min(5, bucket.credit + (now - bucket.last) / 50);
    // Whole milliseconds: the twin's fractions are compared with a hair of slack.
    const want = credit > 1 - 1e-9;
    twin.set(name, { credit: want ? credit - 1 : credit, last: now });
    if (limiter.allow(now, from) !== want)
      return void t.fail(`step ${i} at ${now}: ${name} should be ${want}`);
  }
  t.pass('50000 steps');
});
