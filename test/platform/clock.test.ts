// The clocks, against /proc/uptime (BOOTTIME by definition) and Date.

import t from 'tap';
import { readFileSync } from 'node:fs';
import { Clock } from '../../src/platform/clock.ts';
import { openLibc } from '../fixtures/native.ts';

t.test('time since boot goes on, with fractions', async t => {
  const clock = new Clock(await openLibc());
  const before = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  const now = clock.bootMs();
  t.ok(now >= before - 10 && now < before + 5000, `${now} against ${before}`);
  let last = now;
  let moved = 0;
  for (let i = 0; i < 1000; i++) {
    const next = clock.bootMs();
    if (next < last) t.fail('went back');
    if (next > last && next - last < 1) moved++;
    last = next;
  }
  t.ok(moved > 100, 'finer than a millisecond');
  t.ok(Math.abs(clock.wallMs() - Date.now()) < 1000);
});

t.test('T18 a sleep is noticed once, a long wait is none', async t => {
  const libc = await openLibc();
  const clock = new Clock(libc);
  const now = clock.bootMs();
  t.notOk(clock.woke(now));
  t.notOk(clock.woke(now + 999));
  // Nobody suspends the machine of a test: boot time that ran ahead of the clock that stops in a suspend looks the same.
  t.ok(clock.woke(now + 3_600_000));
  t.notOk(clock.woke(now + 3_600_001), 'once');
  const waited = new Clock(libc);
  const real = libc.clockGettime.bind(libc);
  let ahead = 0;
  libc.clockGettime = (which, at) => {
    const result = real(which, at);
    libc.arena.view.setUint32(at, libc.arena.view.getUint32(at, true) + ahead, true);
    return result;
  };
  ahead = 3600; // both clocks: an hour of waiting
  t.notOk(waited.woke(waited.bootMs()));
  const stopped = new Clock(libc);
  const then = Math.ceil(stopped.bootMs() / 64) * 64; // a millisecond in which it looks without cause
  ahead += 5; // after boot time was read
  t.notOk(stopped.woke(then));
  t.notOk(stopped.woke(stopped.bootMs()), 'stopped between the two clocks is not asleep');
});
