import t from 'tap';
import { Counters } from '../../../src/agent/dataplane/counters.ts';
import { DataplaneOutbox } from '../../../src/agent/dataplane/outbox.ts';
import type { Sockets, Udp } from '../../../src/agent/dataplane/ports.ts';
import type { DeviceEvent } from '../../../src/wireguard/effects.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';

function open(answer: number) {
  const sent: unknown[][] = [];
  const udp: Udp = {
    receive: () => -11,
    send: (at, bytes, segment, to, tos) => {
      sent.push([at, bytes, segment, to.family, tos]);
      return answer;
    },
  };
  const counters = new Counters();
  const sockets = { of: (family: number) => (family === 4 ? udp : null) } as unknown as Sockets;
  return { sent, counters, outbox: new DataplaneOutbox(sockets, counters) };
}

const endpoint = (family: number): Endpoint => Object.assign(new Endpoint(), { family });

t.test('handshakes travel as AF41, cookies and data as best effort (D9)', t => {
  const { sent, outbox, counters } = open(0);
  for (const type of [1, 2, 3, 4]) t.ok(outbox.datagram(8, 100, endpoint(4), null, type));
  t.strictSame(
    sent,
    [0x88, 0x88, 0, 0].map(tos => [8, 100, 0, 4, tos]),
  );
  t.equal(counters.sendErrors, 0);
  t.end();
});

t.test('what the system refuses, or no socket reaches, is told to the protocol and counted', t => {
  const { outbox, counters } = open(-101);
  t.notOk(outbox.datagram(8, 100, endpoint(4), null, 4));
  t.notOk(outbox.datagram(8, 100, endpoint(6), null, 4));
  t.notOk(outbox.datagram(8, 100, endpoint(0), null, 4));
  t.equal(counters.sendErrors, 3);
  t.end();
});

t.test('packets and events go where they are told to, from when there is such a place', t => {
  const { outbox, counters } = open(0);
  const event = { kind: 'keys-zeroed' } as DeviceEvent;
  outbox.packet(1, 2);
  outbox.event(event);
  const seen: unknown[] = [];
  outbox.writePacket = (at, bytes) => seen.push([at, bytes]);
  outbox.handleEvent = each => seen.push(each);
  outbox.packet(3, 4);
  outbox.event(event);
  t.strictSame(seen, [[3, 4], event]);
  t.strictSame(counters.read([], '', 1).handshakes, { 'keys-zeroed': 2 });
  t.end();
});
