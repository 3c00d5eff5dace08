// System calls over the arena: results, errors, and the structures written for both word sizes.

import t from 'tap';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as c from '../../src/platform/constants.ts';
import { epollEvent } from '../../src/platform/net/kernelstructs.ts';
import { isTransient, Libc } from '../../src/platform/libc.ts';
import { loadFfi } from '../../src/platform/ffi/load.ts';
import { narrowBase, narrowFfi } from '../fixtures/fakes/narrowffi.ts';
import { libcOver, openLibc } from '../fixtures/native.ts';

const libc = await openLibc();
const { arena, ffi } = libc;

t.test('a file, by offsets', async t => {
  const fd = libc.open('/proc/self/stat', 0);
  t.ok(fd > 2);
  const at = arena.alloc(64);
  const bytes = libc.read(ffi.word(fd), at, 16);
  t.equal(bytes, 16);
  t.match(new TextDecoder().decode(arena.u8.slice(at, at + 16)), String(process.pid));
  t.equal(libc.setNonBlocking(fd), 0);
  t.equal(libc.close(fd), 0);
  t.equal(libc.close(fd), -9);
  t.equal(libc.setNonBlocking(fd), -9);
});

t.test('paths that are no C string', async t => {
  t.equal(libc.open('a\0b', 0), -c.EINVAL);
  t.equal(libc.open('x'.repeat(600), 0), -c.EINVAL);
  t.equal(libc.open('/nowhere', 0), -c.ENOENT);
});

t.test('options and addresses report errors', async t => {
  t.equal(libc.setOption(9999, 1, 1, 1), -9);
  t.equal(libc.option(9999, 1, 1), -9);
  t.equal(libc.getsockname(9999, libc.scratch, 16), -9);
  t.equal(libc.socket(c.AF_INET, 77, 0), -c.EINVAL);
});

t.test('the calls of the packet path', async t => {
  const { iovec, timespec, msghdr } = libc.layout;
  const data = arena.alloc(64);
  const iov = arena.alloc(2 * iovec.bytes);
  const zero = libc.open('/dev/zero', c.O_RDWR);
  libc.setIovec(iov, data, 8);
  libc.setIovec(iov + iovec.bytes, data + 32, 8);
  arena.u8.fill(9, data, data + 64);
  t.equal(libc.readv(ffi.word(zero), iov, 2), 16);
  t.strictSame(
    [arena.u8[data + 7], arena.u8[data + 8], arena.u8[data + 39], arena.u8[data + 40]],
    [0, 9, 0, 9],
  );
  t.equal(libc.writev(ffi.word(zero), iov, 2), 16);
  t.equal(libc.write(ffi.word(zero), data, 5), 5);
  libc.close(zero);

  const event = libc.eventfd(c.EFD_NONBLOCK);
  arena.view.setBigUint64(data, 1n, true);
  t.equal(libc.write8(ffi.word(event), data), 8);
  const epoll = libc.epollCreate(c.EPOLL_CLOEXEC);
  arena.view.setUint32(data, c.EPOLLIN, true);
  arena.view.setUint32(data + epollEvent.data, 7, true);
  t.equal(libc.epollCtl(epoll, c.EPOLL_CTL_ADD, event, data), 0);
  arena.view.setUint32(data + epollEvent.data, 0, true);
  t.equal(libc.epollWait(ffi.word(epoll), data, 1, 1000), 1);
  t.equal(arena.view.getUint32(data + epollEvent.data, true), 7);
  t.equal(libc.epollCtl(epoll, c.EPOLL_CTL_DEL, event, data), 0);
  t.equal(libc.epollWait(ffi.word(epoll), data, 1, 0), 0);
  for (const fd of [event, epoll]) libc.close(fd);
  t.ok([0, -c.EINVAL].includes(libc.largePages()), 'large pages are there or not');
  const time = arena.alloc(timespec.bytes);
  arena.u8.fill(0, time, time + timespec.bytes);
  t.equal(libc.clockGettime(ffi.word(c.CLOCK_BOOTTIME), time), 0);
  t.ok(arena.view.getUint32(time, true) > 0);
  t.equal(libc.clockGettime(ffi.word(99), time), -c.EINVAL);

  const socket = libc.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_NONBLOCK, 0);
  const name = arena.alloc(16);
  arena.u8.fill(0, name, name + 16);
  arena.view.setUint16(name, c.AF_INET, true);
  arena.u8.set([127, 0, 0, 1], name + 4);
  t.equal(libc.bind(socket, name, 16), 0);
  t.equal(libc.getsockname(socket, name, 16), 16);
  t.ok(arena.view.getUint16(name + 2) > 0);
  t.equal(libc.setOption(socket, c.SOL_SOCKET, c.SO_RCVBUF, 8192), 0);
  t.ok(libc.option(socket, c.SOL_SOCKET, c.SO_RCVBUF) >= 8192);
  const header = arena.alloc(msghdr.bytes);
  arena.u8.fill(0, header, header + msghdr.bytes);
  libc.setPointer(header + msghdr.name, name);
  libc.setSize(header + msghdr.nameLength, 16);
  libc.setPointer(header + msghdr.iov, iov);
  libc.setSize(header + msghdr.iovLength, 2);
  t.equal(libc.sendmsg(ffi.word(socket), header), 16);
  t.equal(libc.recvmsg(ffi.word(socket), header), 16);
  t.equal(libc.recvmsg(ffi.word(socket), header), -c.EAGAIN);
  t.equal(libc.ioctl(socket, c.TUNGETIFF, data), -25, 'ENOTTY');
  t.equal(libc.ioctlValue(socket, c.TUNSETPERSIST, 1), -25);
  libc.close(socket);
});

t.test('errno is that of the call just made, whatever the collector does', async t => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const bad = ffi.word(9999);
  const dir = libc.open('/', 0);
  const directory = ffi.word(dir);
  const at = arena.alloc(8);
  let wrong = 0;
  let litter: unknown[] = [];
  for (let i = 0; i < 5000; i++) {
    if (libc.read(bad, at, 1) !== -9) wrong++;
    litter.push(new Uint8Array(2000));
    if (libc.read(directory, at, 1) !== -21) wrong++;
    if (litter.length > 500) litter = [];
    if (i % 500 === 0) collect();
  }
  t.equal(wrong, 0);
  libc.close(dir);
});

t.test('structures: this machine, and 32 bits', async t => {
  const at = arena.alloc(32);
  libc.setIovec(at, 4096, 77);
  if (ffi.pointerBytes === 8) {
    t.equal(arena.view.getBigUint64(at, true), BigInt(libc.base + 4096));
    t.equal(arena.view.getBigUint64(at + 8, true), 77n);
  }
  const narrow = libcOver(narrowFfi());
  narrow.setIovec(at, 4096, 77);
  t.equal(narrow.arena.view.getUint32(at, true), narrowBase + 4096);
  t.equal(narrow.arena.view.getUint32(at + 4, true), 77);
});

t.test('a libc that lacks a function is a clear error', async t => {
  t.throws(() => new Libc({ ...narrowFfi(), symbol: () => null }, arena), /libc does not export read/);
});

t.test('texts', async t => {
  t.ok(isTransient(-c.EAGAIN) && isTransient(-c.EINTR) && !isTransient(-c.EIO) && !isTransient(11));
  t.equal(c.errnoText(-22), 'EINVAL (invalid argument)');
  t.equal(c.errnoText(1234), 'errno 1234');
});

t.test('every back end this runtime has', async t => {
  for (const name of ['node:ffi', 'koffi'] as const) {
    const own = libcOver(await loadFfi(name));
    t.equal(own.ffi.name, name);
    t.equal(own.read(own.ffi.word(9999), own.scratch, 1), -9);
  }
  await t.rejects(loadFfi('deno'), { code: 'no-ffi', message: /not running under Deno/ });
});
