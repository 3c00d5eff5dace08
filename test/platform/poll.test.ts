// Waiting and waking, within one thread and from another with its own Ffi.

import t from 'tap';
import { Worker } from 'node:worker_threads';
import { loadFfi } from '../../src/platform/ffi/load.ts';
import * as c from '../../src/platform/constants.ts';
import { Poller, Wake } from '../../src/platform/poll.ts';
import { openUdp } from '../../src/platform/net/udp.ts';
import { Endpoint } from '../../src/wireguard/peer/endpoint.ts';
import { FaultyFfi } from '../fixtures/fakes/faultyffi.ts';
import { libcOver } from '../fixtures/native.ts';

const faulty = new FaultyFfi(await loadFfi());
const libc = libcOver(faulty);

t.test('wake, drain, time out', async t => {
  const poller = new Poller(libc);
  const wake = new Wake(libc);
  const free = poller.add(-1);
  const bit = poller.add(wake.fd);
  t.strictSame([free, bit], [0, 1]);
  t.equal(poller.wait(0), 0);
  t.notOk(wake.drain());
  wake.signal();
  wake.signal();
  t.equal(poller.wait(Infinity), 1 << bit);
  t.ok(wake.drain());
  t.equal(poller.wait(0), 0, 'two signals are one wake-up');
  const start = performance.now();
  t.equal(poller.wait(2.5), 0);
  t.ok(performance.now() - start >= 2.4, 'fractions of a millisecond count');
  t.equal(poller.wait(-5), 0);
  t.equal(poller.wait(NaN), 0);
  wake.close();
});

t.test('places can be refilled', async t => {
  const poller = new Poller(libc, 2);
  const udp = openUdp(libc, { family: 4, port: 0 });
  const bit = poller.add(-1);
  poller.add(-1);
  t.throws(() => poller.add(1), /at most 2/);
  poller.replace(bit, udp.fd);
  t.equal(poller.wait(0), 0);
  const to = new Endpoint();
  to.family = 4;
  to.address.set([127, 0, 0, 1]);
  to.port = udp.port;
  udp.send(libc.arena.alloc(64), 10, 0, to, 0);
  t.equal(poller.wait(1000), 1);
  poller.replace(bit, -1);
  t.equal(poller.wait(0), 0, 'what is taken out is not looked at, with input or without');
  poller.replace(bit, udp.fd);
  t.equal(poller.wait(0), 1);
  t.throws(() => poller.replace(bit, 9999), /epoll: errno 9/, 'no descriptor');
  udp.close();
  t.equal(poller.wait(0), 0);
  poller.close();
});

t.test('a signal ends the wait quietly, another error does not', async t => {
  const poller = new Poller(libc);
  faulty.fail('epoll_wait', call => (call === 1 ? c.EINTR : c.ENOMEM));
  t.equal(poller.wait(1000), 0);
  t.throws(() => poller.wait(1000), /epoll: ENOMEM/);
  faulty.fail('epoll_create1', () => 24);
  t.throws(() => new Poller(libc), /epoll: errno 24/);
  faulty.fail('eventfd', () => 24);
  t.throws(() => new Wake(libc), /eventfd: errno 24/);
  faulty.heal();
});

t.test('another thread wakes us', async t => {
  const wake = new Wake(libc);
  const poller = new Poller(libc);
  const bit = poller.add(wake.fd);
  const worker = new Worker(new URL('../fixtures/waker.ts', import.meta.url), { workerData: wake.fd });
  let mask = 0;
  for (let i = 0; i < 500 && mask === 0; i++) {
    mask = poller.wait(20);
    await new Promise(resolve => setImmediate(resolve)); // the worker needs this thread to start
  }
  t.equal(mask, 1 << bit);
  await worker.terminate();
  wake.close();
});
