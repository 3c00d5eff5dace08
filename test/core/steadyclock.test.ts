import t from 'tap';
import { SteadyClock } from '../../src/core/steadyclock.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

class Machine {
  wall = 1.7e12;
  steady = 5000;
  boot = 5000;
  readonly said: number[] = [];
  readonly clock = new SteadyClock(
    { wall: () => this.wall, steady: () => this.steady, boot: () => this.boot },
    byMs => this.said.push(byMs),
  );

  pass(ms: number): void {
    this.wall += ms;
    this.steady += ms;
    this.boot += ms;
  }
}

t.test('a jump ahead or back is said once and changes nothing', async t => {
  for (const jump of [13 * 3600_000, -13 * 3600_000, 5000, -5000]) {
    const m = new Machine();
    const right = m.wall;
    m.pass(500);
    m.clock.now();
    m.wall += jump;
    for (let i = 0; i < 40; i++) {
      m.pass(250);
      t.ok(Math.abs(m.clock.now() - (right + 500 + 250 * (i + 1))) < 2);
    }
    t.equal(m.said.length, 1);
    t.ok(Math.abs(m.said[0]! - jump) < 2);
    m.wall -= jump;
    m.pass(250);
    t.equal(m.clock.now(), m.wall);
    t.same(m.said.slice(1), [0], 'and that it is right again');
  }
});

t.test('sleep is real time', async t => {
  const m = new Machine();
  m.pass(100);
  m.clock.now();
  m.wall += 8 * 3600_000;
  m.boot += 8 * 3600_000;
  m.pass(10);
  t.equal(m.clock.now(), m.wall);
  t.same(m.said, []);
});

const seed = seedOf(7);
t.test(`small corrections are followed, and steps never (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const m = new Machine();
  let right = m.wall;
  let isOff = false;
  let worst = 0;
  for (let i = 0; i < 20_000; i++) {
    const ms = rng.u32() % 400;
    m.pass(ms);
    right += ms;
    const correction = (rng.u32() % 41) - 20;
    if (!isOff) {
      m.wall += correction;
      right += correction;
    }
    if (rng.u32() % 500 === 0) {
      m.wall = isOff ? right : right + 3600_000 + (rng.u32() % 1e9);
      isOff = !isOff;
    }
    worst = Math.max(worst, Math.abs(m.clock.now() - right));
  }
  t.ok(worst <= 100, `${worst} ms away at worst`);
  t.ok(m.said.length > 10);
});
