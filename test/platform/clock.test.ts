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
