import t from 'tap';
import { describeFd, InheritedTun } from '../../src/platform/inherited.ts';
import { Arena } from '../../src/util/arena.ts';
import { FakeTun } from '../fixtures/fakes/faketun.ts';
import { soon } from '../fixtures/soon.ts';

const EAGAIN = 11;
const EBADFD = 77;

t.test('what a descriptor is', async t => {
  const read =
    (info: string | null, tunFlags = '0x1001') =>
    (path: string): string => {
      if (path === '/proc/self/fdinfo/3' && info !== null) return info;
      if (path.endsWith('/wg0/mtu')) return '1420';
      if (path.endsWith('/wg0/flags')) return '0x1090';
      if (path.endsWith('/wg0/tun_flags')) return tunFlags;
      throw new Error('ENOENT');
    };
  const info = (flags: string, iff = 'wg0'): string =>
    `pos:\t0\nflags:\t${flags}\nmnt_id:\t9\niff:\t${iff}\n`;
  const signalling = '02124002';
  t.strictSame(describeFd(3, undefined, read(info('02100002'))), { fd: 3, name: 'wg0', signals: false });
  t.strictSame(describeFd(3, process.pid, read(info(signalling))), { fd: 3, name: 'wg0', signals: true });
  t.equal(describeFd(3, undefined, read(info('02100002', 'unseen'))).name, 'unseen', 'no /sys is no reason');
  t.equal(describeFd(3, undefined, read(info('02100002'), '0x1801')).name, 'wg0', 'persistent is fine');
  const bad = (text: string | null, message: RegExp, owner?: number, tunFlags?: string): void => {
    t.throws(() => describeFd(3, owner, read(text, tunFlags)), { code: 'tun-fd', message });
  };
  bad(null, /file descriptor 3 \(WG_TUN_FD\) is not open: .*launcher/);
  bad('pos:\t0\nflags:\t02\n', /is no TUN with a name/);
  bad(info('02', ''), /is no TUN with a name/);
  bad(info('02104002'), /O_NONBLOCK without O_ASYNC/, process.pid);
  bad(info(signalling), /signals process undefined \(WG_TUN_PID\)/);
  bad(info(signalling), /signals process 1 \(WG_TUN_PID\), not \d+: the launcher must exec node itself/, 1);
  for (const kind of ['0x1002', '0x5001', '0x1'])
    bad(info('02'), /must be IFF_TUN \| IFF_NO_PI and nothing else/, undefined, kind);
  t.throws(() => describeFd(0, undefined), { message: /is no TUN with a name/ }, 'a real one');
});

function open(signals: boolean): {
  fake: FakeTun;
  tun: InheritedTun;
  arena: Arena;
  calls: { count: number };
} {
  const fake = new FakeTun();
  const arena = new Arena(new ArrayBuffer(65536));
  const calls = { count: 0 };
  const tun = new InheritedTun(arena, { fd: 3, name: 'wg0', signals }, () => calls.count++, fake.files);
  return { fake, tun, arena, calls };
}

t.test('a descriptor that signals', async t => {
  const { fake, tun, arena, calls } = open(true);
  tun.start();
  t.equal(calls.count, 1, 'a look at the start: what came before nobody will tell again');
  process.emit('SIGURG', 'SIGURG');
  t.equal(calls.count, 2);
  fake.push(Uint8Array.of(1, 2, 3));
  fake.push(new Uint8Array(101));
  const limit = Error.stackTraceLimit;
  t.equal(tun.readSplit(500, 100), 3);
  t.strictSame([...arena.u8.subarray(500, 503)], [1, 2, 3]);
  t.equal(tun.isDrained, false);
  t.equal(tun.readSplit(500, 100), 1, 'longer than the MTU: a byte that is no packet');
  t.equal(tun.readSplit(500, 100), -EAGAIN);
  t.equal(tun.isDrained, true);
  t.equal(Error.stackTraceLimit, limit);
  fake.push(-EBADFD);
  t.equal(tun.readSplit(500, 100), -EBADFD);
  t.equal(tun.isStuck, false);
  const listeners = process.listenerCount('SIGURG');
  tun.close();
  t.equal(process.listenerCount('SIGURG'), listeners - 1);
  t.equal(fake.isClosed, true);
});

t.test('a descriptor that blocks: in order, one read at a time, four packets ahead', async t => {
  const { fake, tun, arena, calls } = open(false);
  tun.start();
  tun.start();
  t.equal(fake.waiting, 1);
  t.equal(tun.isStuck, true);
  for (let n = 0; n < 9; n++) fake.push(Uint8Array.of(n, n, n));
  await soon(() => calls.count === 4);
  t.equal(fake.reads, 4, 'no more than there is room for');
  t.equal(tun.isStuck, false);
  const seen: number[] = [];
  await soon(() => {
    for (let bytes = tun.readSplit(64, 1400); bytes > 0; bytes = tun.readSplit(64, 1400))
      seen.push(arena.u8[64]!);
    return seen.length === 9;
  });
  t.strictSame(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  t.equal(tun.isDrained, true);
  fake.push(new Uint8Array(1401));
  await soon(() => calls.count === 10);
  t.equal(tun.readSplit(64, 1400), 1);

  fake.push(-EBADFD);
  await soon(() => calls.count === 11);
  t.equal(tun.isStuck, false, 'a read that failed is not repeated by itself');
  t.equal(tun.readSplit(64, 1400), -EBADFD);
  t.equal(fake.waiting, 0);
  tun.start();
  t.equal(fake.waiting, 1);
  tun.close();
  t.equal(tun.isStuck, true);
  fake.push(Uint8Array.of(1));
  await soon(() => !tun.isStuck);
  t.equal(calls.count, 11, 'nobody is told after the end');
});

t.test('writing', async t => {
  const { fake, tun, arena } = open(true);
  arena.u8.set([7, 8], 64);
  t.equal(tun.write(64, 2), 2);
  t.strictSame(fake.written, [Uint8Array.of(7, 8)]);
  fake.refuses = 5;
  t.equal(tun.write(64, 2), -5);
  t.equal(tun.writev(), -22);
  tun.close();
});
