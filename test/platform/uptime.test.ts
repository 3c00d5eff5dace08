import t from 'tap';
import { readFileSync } from 'node:fs';
import { Uptime } from '../../src/platform/uptime.ts';

/** A machine whose clocks are set by hand; `uptime` cuts off to hundredths as the kernel does. */
class Machine {
  mono = 5000;
  boot = 1_000_007.9;
  wall = 1_800_000_000_000;
  looks = 0;
  readonly monotonicMs = (): number => this.mono;
  readonly wallMs = (): number => this.wall;
  readonly uptime = (): string => {
    this.looks++;
    return `${(Math.floor(this.boot / 10) / 100).toFixed(2)} 12345.67\n`;
  };

  run(ms: number): void {
    this.mono += ms;
    this.sleep(ms);
  }

  sleep(ms: number): void {
    this.boot += ms;
    this.wall += ms;
  }
}

t.test('between two looks it advances with fractions, and never goes back', async t => {
  const machine = new Machine();
  const clock = new Uptime(machine);
  let last = clock.bootMs();
  for (let i = 0; i < 20_000; i++) {
    machine.run(0.37);
    const now = clock.bootMs();
    if (now <= last) t.fail('it stood or went back');
    if (now > machine.boot || now < machine.boot - 10) t.fail(`${now} at ${machine.boot}`);
    last = now;
  }
  t.ok(machine.looks < 12, `${machine.looks} looks in 7.4 s`);
});

t.test('a sleep counts at once, however short the time awake', async t => {
  const machine = new Machine();
  const clock = new Uptime(machine);
  for (const ms of [3_600_000, 500, 30]) {
    const before = clock.bootMs();
    machine.run(1);
    machine.sleep(ms);
    t.equal(clock.woke(), false, 'not before somebody looked');
    const passed = clock.bootMs() - before;
    t.equal(clock.woke(), ms > 1000);
    t.equal(clock.woke(), false);
    t.ok(passed > ms + 1 - 11 && passed < ms + 1 + 11, `${ms} ms asleep: ${passed}`);
  }
});

t.test('a wall clock that is set, either way, moves nothing', async t => {
  const machine = new Machine();
  const clock = new Uptime(machine);
  for (const step of [86_400_000, -90_000_000]) {
    const before = clock.bootMs();
    machine.wall += step;
    machine.run(5);
    t.ok(Math.abs(clock.bootMs() - before - 5) < 10);
    t.equal(clock.wallMs(), machine.wall);
  }
  t.equal(machine.looks, 3);
});

t.test('a sleep that the wall clock hid is seen within a second', async t => {
  const machine = new Machine();
  const clock = new Uptime(machine);
  machine.sleep(60_000);
  machine.wall -= 60_000;
  machine.run(1001);
  t.ok(clock.bootMs() > machine.boot - 11);
});

t.test('the real one', async t => {
  const clock = new Uptime();
  const file = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  const now = clock.bootMs();
  t.ok(now >= file - 20 && now < file + 5000, `${now} against ${file}`);
  t.ok(Math.abs(clock.wallMs() - Date.now()) < 1000);
});

t.test('no /proc, or a strange one', async t => {
  const machine = new Machine();
  const absent = (): string => {
    throw new Error('ENOENT');
  };
  t.throws(() => new Uptime({ ...machine, uptime: absent }), {
    code: 'clock',
    message: 'no time since boot: ENOENT; mount /proc',
  });
  t.throws(() => new Uptime({ ...machine, uptime: () => 'soon' }), { message: /says 'soon'/ });
});
