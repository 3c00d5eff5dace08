import t from 'tap';
import { CoreClock } from '../../../src/agent/control/coreclock.ts';

function clocks(
  system: number,
  earliest = 1_000_000,
): { clock: CoreClock; boot: { ms: number }; wall: { ms: number } } {
  const boot = { ms: 500.25 };
  const wall = { ms: system };
  return {
    clock: new CoreClock(
      () => boot.ms,
      () => wall.ms,
      earliest,
    ),
    boot,
    wall,
  };
}

t.test('a sane system clock is used, once', async t => {
  const { clock, boot, wall } = clocks(2_000_000);
  t.equal(clock.source, 'system');
  t.equal(clock.wallMs, 2_000_000);
  boot.ms += 1000;
  wall.ms += 999_999;
  t.equal(clock.wallMs, 2_001_000, 'a step of the wall clock changes nothing');
});

t.test('a clock before the last known time is not sane', async t => {
  const { clock, boot, wall } = clocks(999_999);
  t.equal(clock.wallMs, null);
  t.equal(clock.source, 'none');
  wall.ms = 3_000_000;
  t.equal(clock.wallMs, 3_000_000, 'until NTP has put it right');
  boot.ms += 1;
  t.equal(clock.wallMs, 3_000_001);
});

t.test('Core knows better', async t => {
  const { clock, boot } = clocks(2_000_000);
  t.equal(clock.learn(5_000_000), -3_000_000, 'how far the system clock is off');
  t.equal(clock.source, 'core');
  boot.ms += 10;
  t.equal(clock.wallMs, 5_000_010);
});

t.test('whole milliseconds', async t => {
  const { clock, boot } = clocks(2_000_000);
  boot.ms += 0.7;
  t.equal(clock.wallMs, 2_000_000);
});
