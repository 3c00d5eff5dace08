// The sockets on loopback, both families, and what is refused.

import t from 'tap';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { DatagramSlot, DgramUdp, openDgram } from '../../../src/platform/net/dgram.ts';
import { Arena } from '../../../src/util/arena.ts';
import { parseAddress } from '../../../src/util/inet.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { soon } from '../../fixtures/soon.ts';

const arena = new Arena(new ArrayBuffer(1 << 20));
const at = arena.alloc(65536);
const calls = { readable: 0, errors: 0 };
const bound = (family: 4 | 6, port: number): ReturnType<typeof openDgram> =>
  openDgram(
    arena,
    family,
    port,
    () => calls.readable++,
    () => calls.errors++,
  );
function open(family: 4 | 6): DgramUdp {
  const udp = bound(family, 0);
  if (typeof udp === 'number' || udp === null) throw new Error(`cannot bind: ${udp}`);
  return udp;
}

function endpoint(text: string, port: number): Endpoint {
  const [host, zone] = text.split('%');
  const { family, address } = parseAddress(host!)!;
  const to = new Endpoint();
  to.family = family;
  to.address.set(address);
  to.port = port;
  to.scopeId = Number(zone ?? 0);
  return to;
}

t.test('bound at once, one family leaving the port to the other', async t => {
  const six = open(6);
  t.ok(six.port > 0);
  t.equal(bound(6, six.port), -98);
  const four = bound(4, six.port);
  t.type(four, DgramUdp);
  if (four instanceof DgramUdp) four.close();
  six.close();
});

t.test('datagrams with their senders, in order', async t => {
  const [a4, a6, b4, b6] = [open(4), open(6), open(4), open(6)];
  const slot = new DatagramSlot(arena, new Endpoint());
  t.equal(b4.receive(slot), -11);
  arena.u8.set([1, 2, 3, 4, 5], at);
  const before = calls.readable;
  t.equal(a4.send(at, 5, 2, endpoint('127.0.0.1', b4.port)), 5, 'a batch as single datagrams');
  t.equal(a6.send(at, 3, 0, endpoint('::1', b6.port)), 3);
  await soon(() => b4.waiting === 3 && b6.waiting === 1);
  t.equal(calls.readable, before + 4);
  const got: number[][] = [];
  for (let bytes = b4.receive(slot); bytes >= 0; bytes = b4.receive(slot))
    got.push([...arena.u8.subarray(slot.at, slot.at + bytes)]);
  t.strictSame(got, [[1, 2], [3, 4], [5]]);
  t.match(slot.from, { family: 4, port: a4.port, scopeId: 0 });
  t.strictSame([...slot.from.address.subarray(0, 4)], [127, 0, 0, 1]);
  t.equal(b6.receive(slot), 3);
  t.match(slot, { segment: 3, ecn: 0, truncated: false, from: { family: 6, port: a6.port } });
  t.equal(slot.from.address[15], 1);
  t.equal(slot.from.address[0], 0);
  for (const udp of [a4, a6, b4, b6]) udp.close();
});

t.test('the sender of a link-local datagram has a zone', async t => {
  const slot = new DatagramSlot(arena, new Endpoint());
  slot.fill(new Uint8Array(1), { address: 'fe80::7%lo', family: 'IPv6', port: 5, size: 1 });
  t.match(slot.from, { family: 6, port: 5, scopeId: 1 });
});

t.test('what cannot be sent', async t => {
  const [a4, a6] = [open(4), open(6)];
  const before = calls.errors;
  t.equal(a4.send(at, 5, 0, endpoint('127.0.0.1', 0)), -22);
  t.equal(a4.send(at, 5, 0, endpoint('255.255.255.255', 9)), 5, 'Node hears of it later');
  await soon(() => calls.errors === before + 1);
  t.equal(a6.send(at, 5, 0, endpoint('fe80::1%4242', 9)), 5);
  a4.close();
  a6.close();
  t.equal(a4.send(at, 5, 0, endpoint('127.0.0.1', 9)), -22);
});

t.test('what Node could not send is not overwritten: the next ones are dropped', async t => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let queued = 0;
  const sent: number[] = [];
  socket.getSendQueueCount = () => queued;
  socket.send = ((copy: Uint8Array) => {
    sent.push(copy[0]!);
    queued = 1;
  }) as typeof socket.send;
  const udp = new DgramUdp(
    arena,
    socket,
    () => {},
    () => {},
  );
  const to = endpoint('127.0.0.1', 9);
  arena.u8[at] = 1;
  t.equal(udp.send(at, 5, 0, to), 5);
  arena.u8[at] = 2;
  t.equal(udp.send(at, 5, 0, to), -11);
  queued = 0;
  t.equal(udp.send(at, 5, 0, to), 5);
  t.strictSame(sent, [1, 2]);
  udp.close();
});
