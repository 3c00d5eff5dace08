import t from 'tap';
import type { PeerChangeMsg } from '../../../src/agent/dataplane/commands.ts';
import { endpointText } from '../../../src/agent/dataplane/sessiongate.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { GateHouse } from '../../fixtures/system/gatehouse.ts';
import { inner } from '../../fixtures/packets/pair.ts';

const psk = new Uint8Array(32).fill(7);
const otherPsk = new Uint8Array(32).fill(8);

/** A gate that is up, and a client that knows the PSK. */
function open(options: ConstructorParameters<typeof GateHouse>[0] = {}) {
  const house = new GateHouse(options);
  house.run({ op: 'up' });
  return { house, client: house.client(2, psk) };
}

/** The same with a session in use. */
function inside(more: Parameters<GateHouse['grant']>[3] = {}) {
  const { house, client } = open();
  house.grant(client, 2, psk, more);
  if (!house.passesIn(client, 2)) throw new Error('the session does not carry');
  return { house, client };
}

t.test('nobody passes without a grant, and the first packet under one confirms it', t => {
  const { house, client } = open();
  t.notOk(house.passesIn(client, 2));
  t.equal(house.run({ op: 'state' }).peers.length, 0);
  client.now += 6000; // its next initiation is due
  t.strictSame(house.grant(client, 2, psk), { ok: true });
  t.match(house.run({ op: 'sessions' }), [
    { id: 's-2', confirmed: false, staleInMs: Infinity, claimInMs: 60_000 },
  ]);
  t.ok(house.passesIn(client, 2));
  t.ok(house.passesOut(client, 2));
  t.match(house.events, [{ kind: 'confirmed', id: 's-2', endpoint: '192.0.2.2:1002' }]);
  t.match(house.run({ op: 'sessions' }), [{ confirmed: true, staleInMs: 180_000, claimInMs: Infinity }]);
  t.end();
});

t.test('the key of the grant is the only one that opens', t => {
  const { house } = open();
  const stranger = house.client(3, otherPsk);
  house.grant(stranger, 3, psk);
  t.notOk(house.passesIn(stranger, 3));
  t.strictSame(house.events, []);
  t.end();
});

t.test('revoke: when it returns nothing passes in either direction', t => {
  const { house, client } = inside();
  t.ok(house.revoke(client));
  t.notOk(house.passesIn(client, 2));
  t.notOk(house.passesOut(client, 2));
  t.match(house.events.at(-1), {
    kind: 'ended',
    id: 's-2',
    reason: 'revoked-admin',
    counters: { handshakes: 1 },
    sinceHandshakeMs: 0,
    endpoint: '192.0.2.2:1002',
  });
  t.ok(house.events.at(-1)!.counters.rx > 0);
  t.equal(house.run({ op: 'state' }).peers.length, 0);
  t.notOk(house.revoke(client), 'there is nothing to revoke twice');
  t.equal(house.events.length, 2);
  t.end();
});

t.test('each clock ends its session at its very millisecond, and says why', t => {
  for (const [reason, ms, more] of [
    ['stale', 180_000, {}],
    ['idle', 90_000, { idleAfterMs: 90_000 }],
    ['lease', 120_000, { leaseMs: 120_000 }],
    ['expired', 100_000, { expiresInMs: 100_000 }],
  ] as const) {
    const { house, client } = inside(more);
    house.wait(ms - 1);
    t.equal(house.sessions.size, 1, `${reason}: not a millisecond early`);
    t.ok(house.gate.nextDeadline <= house.now + 1, `${reason}: the gate wants to be woken for it`);
    house.wait(1);
    t.match(house.events.at(-1), { kind: 'ended', reason });
    t.equal(house.host.device.peerCount, 0);
    t.notOk(house.passesIn(client, 2));
  }
  const { house, client } = open();
  house.grant(client, 2, psk);
  house.wait(60_000);
  t.match(house.events, [{ kind: 'ended', reason: 'unclaimed', endpoint: null }]);
  t.end();
});

t.test('a refused grant changes nothing, and its PSK is wiped all the same', t => {
  const { house, client } = inside({ epoch: 5 });
  const other = house.client(3, otherPsk);
  const before = JSON.stringify(house.run({ op: 'state' }));
  const address = (...bytes: number[]) => [
    { family: 4 as const, address: Uint8Array.from(bytes), prefix: 32 },
  ];
  for (const [code, host, more] of [
    ['no-psk', other, { psk: new Uint8Array(32) }],
    ['own-key', other, { device: house.host.publicKey }],
    ['address-taken', other, { allowedIps: address(10, 0, 0, 2) }],
    ['bad-address', other, { allowedIps: address(10, 0, 0) }],
    ['already-over', other, { expiresInMs: 0 }],
    ['older-epoch', client, { id: 's-older', epoch: 4 }],
    ['older-epoch', client, { id: 's-other', epoch: 5 }],
  ] as const) {
    const key = 'psk' in more ? more.psk : otherPsk.slice();
    t.strictSame(house.grant(host, 3, psk, { ...more, psk: key }), { ok: false, code });
    t.strictSame(key, new Uint8Array(32), `${code}: wiped`);
    t.equal(JSON.stringify(house.run({ op: 'state' })), before, `${code}: as if it had never come`);
  }
  const full = open({ maxSessions: 1 });
  full.house.grant(full.client, 2, psk);
  t.strictSame(full.house.grant(full.house.client(3, otherPsk), 3, otherPsk), {
    ok: false,
    code: 'too-many-peers',
  });
  const small = open({ maxPeers: 1 });
  small.house.grant(small.client, 2, psk);
  t.strictSame(small.house.grant(small.house.client(3, otherPsk), 3, otherPsk), {
    ok: false,
    code: 'too-many-peers',
  });
  t.end();
});

t.test('the same grant again renews its lease; a newer one takes over while the old keys carry on', t => {
  const { house, client } = inside({ leaseMs: 50_000 });
  house.wait(40_000);
  t.strictSame(house.grant(client, 2, psk, { leaseMs: 50_000 }), { ok: true });
  t.match(house.run({ op: 'sessions' }), [{ id: 's-2', leaseInMs: 50_000, confirmed: true }]);
  t.equal(house.events.length, 1);

  t.strictSame(house.grant(client, 2, otherPsk, { id: 's-next', epoch: 2 }), { ok: true });
  t.match(house.events.at(-1), { kind: 'ended', id: 's-2', reason: 'superseded' });
  t.match(house.run({ op: 'sessions' }), [{ id: 's-next', confirmed: false, claimInMs: 60_000 }]);
  t.ok(house.passesIn(client, 2) && house.passesOut(client, 2), 'made before broken');
  client.now = house.now;
  client.setPeer(house.host.publicKey, { presharedKey: otherPsk });
  client.device.startHandshake(client.now, house.host.publicKey, client);
  house.settle();
  t.ok(house.passesIn(client, 2));
  t.match(house.events.at(-1), { kind: 'confirmed', id: 's-next' });
  t.match(house.run({ op: 'sessions' }), [{ id: 's-next', confirmed: true, staleInMs: 180_000 }]);
  t.end();
});

t.test('a newer grant that nobody claims ends with everything the old one left', t => {
  const { house, client } = inside();
  house.grant(client, 2, otherPsk, { id: 's-next', epoch: 2 });
  house.wait(60_000);
  t.match(house.events.at(-1), { id: 's-next', reason: 'unclaimed' });
  t.notOk(house.passesIn(client, 2));
  t.equal(house.host.device.peerCount, 0);
  t.end();
});

t.test('renew prolongs the lease of the session it names', t => {
  const { house } = inside({ leaseMs: 10_000 });
  t.strictSame(house.run({ op: 'renew', id: 's-2', untilMs: 30_000 }), { renewed: true });
  t.strictSame(house.run({ op: 'renew', id: 's-3', untilMs: 30_000 }), { renewed: false });
  house.wait(29_999);
  t.equal(house.sessions.size, 1);
  t.end();
});

t.test('a client that moves is reported, or ended where the location asks for a new login', t => {
  for (const onRoam of ['ignore', 'reauth'] as const) {
    const { house, client } = inside({ onRoam });
    client.endpoint.port = 2002; // a NAT gave it another port: no move
    t.ok(house.passesIn(client, 2));
    t.equal(house.events.length, 1);
    client.endpoint.address.set([192, 0, 2, 99]);
    house.passesIn(client, 2);
    house.gate.poll(house.now);
    if (onRoam === 'ignore') {
      t.match(house.events.at(-1), { kind: 'roamed', endpoint: '192.0.2.99:2002' });
      t.ok(house.passesOut(client, 2));
    } else {
      t.match(house.events.at(-1), { kind: 'ended', reason: 'roamed' });
      t.notOk(house.passesOut(client, 2));
    }
  }
  t.end();
});

t.test('configure: peers without sessions, as a plain tunnel has them', t => {
  const house = new GateHouse();
  const client = house.client(2, psk);
  const key = client.publicKey;
  const set = (...peers: PeerChangeMsg[]): number => house.run({ op: 'configure', change: { peers } }).errno;
  const given = psk.slice();
  t.equal(set({ publicKey: key, presharedKey: given, persistentKeepalive: 25, allowedIps: inner(2) }), 0);
  t.strictSame(given, new Uint8Array(32), 'the PSK is wiped on this side');
  t.equal(set({ publicKey: key, endpoint: { host: '192.0.2.2', port: 1002 } }), 0);
  t.match(house.run({ op: 'state' }).peers, [
    { endpoint: '192.0.2.2:1002', persistentKeepalive: 25, session: null, presharedKey: psk },
  ]);
  t.equal(house.run({ op: 'state' }).peers[0]!.allowedIps.length, 2);
  t.equal(set({ publicKey: key, allowedIps: [{ ...inner(2)[0]!, remove: true }] }), 0);
  t.equal(house.run({ op: 'state' }).peers[0]!.allowedIps.length, 1);
  t.equal(set({ publicKey: new Uint8Array(32).fill(3), updateOnly: true }), 0);
  t.equal(house.run({ op: 'state' }).peers.length, 1, 'update only');
  for (const [host, scope] of [
    ['example', undefined],
    ['fe80::1', 'eth9'],
  ] as const)
    t.equal(set({ publicKey: key, endpoint: { host, port: 1, ...(scope && { scope }) } }), -22, host);
  for (const [scope, text] of [
    ['eth0', '[fe80::1%4]:1'],
    ['7', '[fe80::1%7]:1'],
  ] as const) {
    t.equal(set({ publicKey: key, endpoint: { host: 'fe80::1', port: 1, scope } }), 0);
    t.equal(house.run({ op: 'state' }).peers[0]!.endpoint, text);
  }
  t.equal(set({ publicKey: key, remove: true }), 0);
  t.equal(house.run({ op: 'state' }).peers.length, 0);
  t.end();
});

t.test('configure: a handshake asked for starts at once, however recent the last', t => {
  const { house, client } = inside();
  const ask = (change: Partial<PeerChangeMsg>): number => {
    house.host.outgoing.length = 0;
    house.run({ op: 'configure', change: { peers: [{ publicKey: client.publicKey, ...change }] } });
    return house.host.outgoing.filter(({ type }) => type === 1).length;
  };
  t.equal(ask({}), 0);
  t.equal(ask({ presharedKey: otherPsk.slice(), handshake: true }), 1);
  t.ok(house.passesOut(client, 2), 'the keys in use carry on meanwhile');
  t.end();
});

t.test('configure: port and mark, and what the system says to them', t => {
  const { house } = open();
  const set = (change: object): number =>
    house.run({ op: 'configure', change: { peers: [], ...change } }).errno;
  t.equal(set({ listenPort: 5000 }), 0);
  t.equal(set({ fwmark: 3 }), 0);
  t.match(house.run({ op: 'state' }), { listenPort: 5000, fwmark: 3, ifname: 'wg7', isUp: true });
  for (const [answer, said] of [
    [-98, -98],
    [-13, -98],
    [-22, -22],
  ] as const) {
    house.sockets.failNext = answer;
    t.equal(set({ listenPort: 5001 }), said);
  }
  house.sockets.failNext = -1;
  t.equal(set({ fwmark: 4 }), -98);
  t.match(house.run({ op: 'state' }), { listenPort: 5000, fwmark: 3 });
  t.equal(set({ privateKey: null }), 0);
  t.equal(house.run({ op: 'state' }).publicKey, null);
  t.end();
});

t.test('removing the peer of a session ends the session', t => {
  for (const change of [{ replacePeers: true, peers: [] }, undefined]) {
    const { house, client } = inside();
    const remove = { peers: [{ publicKey: client.publicKey, remove: true as const }] };
    house.run({ op: 'configure', change: change ?? remove });
    t.match(house.events.at(-1), { kind: 'ended', reason: 'revoked-admin' });
    t.equal(house.sessions.size, 0);
    t.notOk(house.passesOut(client, 2));
  }
  t.end();
});

t.test('down forgets the keys and closes the sockets; the login lives on', t => {
  const { house, client } = inside();
  t.ok(house.sockets.isOpen);
  t.strictSame(house.run({ op: 'down' }), { errno: 0 });
  t.notOk(house.sockets.isOpen);
  t.notOk(house.passesIn(client, 2));
  t.equal(house.sessions.size, 1);
  house.sockets.failNext = -98;
  t.strictSame(house.run({ op: 'up' }), { errno: -98 });
  t.notOk(house.host.device.isUp);
  t.strictSame(house.run({ op: 'up' }), { errno: 0 });
  t.strictSame(house.run({ op: 'up' }), { errno: 0 }, 'being up is no fault');
  t.end();
});

t.test('stop: every session told, every key gone', t => {
  const { house } = inside();
  house.run({ op: 'configure', change: { peers: [{ publicKey: new Uint8Array(32).fill(5) }] } });
  house.run({ op: 'stop' });
  t.match(house.events.at(-1), { kind: 'ended', reason: 'agent-stopped' });
  t.match(house.run({ op: 'state' }), {
    publicKey: null,
    privateKey: null,
    isUp: false,
    peers: { length: 0 },
  });
  t.notOk(house.sockets.isOpen);
  t.ok(house.gate.stopping);
  t.end();
});

t.test('an order from another version is an error for the one who gave it', t => {
  const { house } = open();
  t.throws(() => house.run({ op: 'dance' } as never), /unknown command/);
  t.end();
});

t.test('endpoints as wg writes them', t => {
  t.equal(endpointText(new Endpoint()), null);
  t.end();
});
