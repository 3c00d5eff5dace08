// The device's two UDP sockets on the loopback of a private network.

import t from 'tap';
import { Sockets } from '../../../src/agent/dataplane/sockets.ts';
import * as c from '../../../src/platform/constants.ts';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import { Poller } from '../../../src/platform/poll.ts';
import { openUdpPair } from '../../../src/platform/net/udp.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { FaultyFfi } from '../../fixtures/fakes/faultyffi.ts';
import { enterPrivateNetwork, libcOver, noNetwork } from '../../fixtures/native.ts';

const faulty = new FaultyFfi(await loadFfi());
const libc = libcOver(faulty);
const skip = enterPrivateNetwork(libc) ? false : noNetwork;

t.test('bound when told, found by family, gone when closed', { skip }, t => {
  const sockets = new Sockets(libc, new Poller(libc), true);
  t.strictSame([sockets.of(4), sockets.of(6), sockets.of(0)], [null, null, null]);
  t.equal(sockets.setPort(41414), 0, 'a wish, for nothing is open');
  t.equal(sockets.v4, null);
  t.equal(sockets.bind(), 0);
  t.equal(sockets.port, 41414);
  t.equal(sockets.of(4)!.port, 41414);
  t.equal(sockets.of(6)!.port, 41414);
  t.ok(sockets.maxSegments > 0 && sockets.maxSegments < Infinity);
  sockets.close();
  t.strictSame([sockets.v4, sockets.v6], [null, null]);
  t.equal(sockets.port, 41414, 'the wish lives on');
  sockets.close();
  t.end();
});

t.test('no port wished for: one is chosen, the same for both, and kept over a rebind', { skip }, t => {
  const sockets = new Sockets(libc, new Poller(libc), false);
  sockets.bind();
  const { port } = sockets;
  t.ok(port > 0);
  t.equal(sockets.v6!.port, port);
  t.equal(sockets.bind(), 0);
  t.equal(sockets.port, port);
  t.equal(sockets.setPort(41415), 0, 'a change while open binds at once');
  t.equal(sockets.v4!.port, 41415);
  sockets.close();
  t.end();
});

t.test('a port that is taken is refused, and the sockets stay as they were', { skip }, t => {
  const other = openUdpPair(libc, { port: 41416 });
  const sockets = new Sockets(libc, new Poller(libc), true);
  t.equal(sockets.setPort(41418), 0);
  sockets.bind();
  const { v4, v6 } = sockets;
  t.equal(sockets.setPort(41416), -c.EADDRINUSE);
  t.strictSame([sockets.v4, sockets.v6], [v4, v6]);
  t.equal(sockets.port, 41418, 'the port that is in force');
  t.equal(sockets.setPort(41418), 0, 'setting it back is no change');
  t.equal(sockets.v4, v4);
  other.v4?.close();
  other.v6?.close();
  t.equal(sockets.setPort(41416), 0, 'free again');
  t.equal(sockets.port, 41416);
  sockets.close();
  t.end();
});

t.test('a port that is taken when the device comes up leaves no socket behind', { skip }, t => {
  const other = openUdpPair(libc, { port: 41416 });
  const sockets = new Sockets(libc, new Poller(libc), true);
  sockets.setPort(41416);
  t.equal(sockets.bind(), -c.EADDRINUSE);
  t.strictSame([sockets.v4, sockets.v6], [null, null]);
  other.v4?.close();
  other.v6?.close();
  t.equal(sockets.bind(), 0);
  sockets.close();
  t.end();
});

t.test('packets wake the poller by the bit of their family', { skip }, t => {
  const poller = new Poller(libc);
  const sockets = new Sockets(libc, poller, true);
  const sender = openUdpPair(libc, { port: 0 });
  sockets.bind();
  t.equal(poller.wait(0), 0);
  for (const [family, bit] of [
    [4, sockets.bit4],
    [6, sockets.bit6],
  ] as const) {
    const to = Object.assign(new Endpoint(), { family, port: sockets.port });
    if (family === 4) to.address.set([127, 0, 0, 1]);
    else to.address[15] = 1;
    (family === 4 ? sender.v4 : sender.v6)!.send(libc.arena.alloc(64), 8, 0, to, 0);
    t.equal(poller.wait(1000), 1 << bit, `IPv${family}`);
    sockets.bind(); // fresh sockets, nothing waits in them
    t.equal(poller.wait(0), 0);
  }
  sockets.close();
  sender.v4?.close();
  sender.v6?.close();
  poller.close();
  t.end();
});

t.test('a mark: on both sockets, kept for those to come, and a refusal told', { skip }, t => {
  const sockets = new Sockets(libc, new Poller(libc), true);
  t.equal(sockets.setMark(7), 0, 'before there is a socket');
  t.equal(sockets.bind(), 0);
  t.equal(sockets.setMark(8), 0);
  t.equal(sockets.mark, 8);
  faulty.fail('setsockopt', () => c.EACCES);
  t.equal(sockets.setMark(9), -c.EPERM);
  faulty.heal();
  sockets.close();
  t.end();
});
