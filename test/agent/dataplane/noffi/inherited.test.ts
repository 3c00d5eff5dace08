// The plane without FFI on fake TUNs, a clock set by hand and real loopback sockets: a gateway and a client in one process.

import t from 'tap';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  inheritedHost,
  InheritedPlane,
  startInherited,
} from '../../../../src/agent/dataplane/noffi/inherited.ts';
import type { WorkerEvent } from '../../../../src/agent/dataplane/commands.ts';
import { generateX25519KeyPair } from '../../../../src/control/trust/keys.ts';
import { InheritedTun } from '../../../../src/platform/inherited.ts';
import type { LinkFiles } from '../../../../src/platform/sysfs.ts';
import { isZero, toHex } from '../../../../src/util/bytes.ts';
import { FakeTun } from '../../../fixtures/fakes/faketun.ts';
import { plainPeer } from '../../../fixtures/system/grant.ts';
import { packet4 } from '../../../fixtures/packets/pair.ts';
import { soon } from '../../../fixtures/soon.ts';

const sides: Side[] = [];
t.afterEach(async () => {
  for (const side of sides.splice(0)) await side.plane.stop();
});

/** One side: its plane and all that the plane stands on. */
class Side {
  readonly tun = new FakeTun();
  readonly keys = generateX25519KeyPair();
  readonly events: WorkerEvent[] = [];
  now = 1_000_000;
  woke = false;
  link: LinkFiles | null = { isUp: true, mtu: 1420, tunFlags: 0x1001 };
  readonly plane: InheritedPlane;

  constructor() {
    this.plane = new InheritedPlane(
      { ifname: 'wg0', crypto: 'wasm' },
      { fd: 3, name: 'wg0', signals: true },
      {
        clock: {
          bootMs: () => this.now,
          wallMs: () => 1_800_000_000_000 + this.now,
          woke: () => this.woke && !(this.woke = false),
        },
        openTun: (arena, fd, onReadable) => new InheritedTun(arena, fd, onReadable, this.tun.files),
        link: () => this.link,
      },
    );
    this.plane.onEvent(event => this.events.push(event));
    sides.push(this);
  }

  /** A packet of the host into the tunnel. */
  send(packet: Uint8Array): void {
    this.tun.push(packet);
    process.emit('SIGURG', 'SIGURG');
  }

  async open(): Promise<void> {
    const change = { privateKey: this.keys.privateKey, peers: [] };
    t.strictSame(await this.plane.request({ op: 'configure', change }), { errno: 0 });
    await soon(async () => (await this.plane.request({ op: 'state' })).isUp === true);
  }

  async port(): Promise<number> {
    return (await this.plane.request({ op: 'state' })).listenPort;
  }

  logs(level: string): string[] {
    return this.events.flatMap(event => (event.ev === 'log' && event.level === level ? [event.message] : []));
  }
}

const ip = (last: number) => ({ family: 4 as const, address: Uint8Array.of(10, 0, 0, last), prefix: 32 });

/** A gateway that granted the client a session, and the client after its first packet came through. */
async function connected(): Promise<{ gateway: Side; client: Side }> {
  const [gateway, client] = [new Side(), new Side()];
  await gateway.open();
  await client.open();
  const psk = new Uint8Array(32).fill(9);
  const grant = plainPeer({ device: client.keys.publicKey, psk: psk.slice(), allowedIps: [ip(2)] });
  t.strictSame(await gateway.plane.request({ op: 'grant', grant }), { ok: true });
  t.notOk(isZero(grant.psk), 'the caller wipes its own copy, as with a worker');
  const peer = {
    publicKey: gateway.keys.publicKey,
    presharedKey: psk,
    endpoint: { host: '127.0.0.1', port: await gateway.port() },
    allowedIps: [ip(1)],
  };
  await client.plane.request({ op: 'configure', change: { peers: [peer] } });
  client.send(packet4(2, 1));
  await soon(() => gateway.tun.written.length === 1);
  return { gateway, client };
}

t.test('what it says of itself', async t => {
  const side = new Side();
  t.strictSame(side.plane.ready, {
    ifname: 'wg0',
    ffi: 'inherited-fd',
    crypto: 'wasm',
    vnetHeader: false,
  });
  await soon(() => side.logs('info').some(line => /^no FFI: MTU, addresses and routes of wg0/.test(line)));
  const { counters } = await side.plane.request({ op: 'state' });
  t.match(counters, { crypto: 'wasm', offloads: [] });
});

t.test('a grant, a handshake, packets both ways', async t => {
  const { gateway, client } = await connected();
  t.strictSame(gateway.tun.written[0], packet4(2, 1));
  gateway.send(packet4(1, 2, 200));
  await soon(() => client.tun.written.length === 1);
  t.strictSame(client.tun.written[0], packet4(1, 2, 200));
  await soon(() => gateway.events.some(event => event.ev === 'session' && event.kind === 'confirmed'));
  for (let n = 0; n < 100; n++) client.tun.push(packet4(2, 1, 100, n));
  process.emit('SIGURG', 'SIGURG');
  await soon(() => gateway.tun.written.length === 101);
  t.strictSame(
    gateway.tun.written.slice(1).map(packet => packet[20]),
    Array.from({ length: 100 }, (_, n) => n + 20),
    'more than one turn holds, in order',
  );
  client.send(packet4(2, 77));
  await soon(() => client.tun.written.length === 2);
  t.equal(client.tun.written[1]![20], 3, 'no peer for it: ICMP unreachable to the host');

  const state = await gateway.plane.request({ op: 'state' });
  state.privateKey!.fill(0);
  state.peers[0]!.presharedKey.fill(0);
  const again = await gateway.plane.request({ op: 'state' });
  t.notOk(isZero(again.privateKey!), 'what is handed out is a copy');
  t.notOk(isZero(again.peers[0]!.presharedKey));
});

t.test('stale: the packet that wakes it does not pass any more', async t => {
  const { gateway, client } = await connected();
  gateway.now += 149_000; // a second later it would renew the session itself, and might be done before the next packet
  client.send(packet4(2, 1));
  await soon(() => gateway.tun.written.length === 2);
  // Nobody turned the gateway's loop meanwhile: what ends the session is the packet's own turn, before the packet.
  gateway.now += 31_500;
  client.send(packet4(2, 1));
  await soon(() => gateway.events.some(event => event.ev === 'session' && event.kind === 'ended'));
  t.match(
    gateway.events.find(event => event.ev === 'session' && event.kind === 'ended'),
    { reason: 'stale', device: toHex(client.keys.publicKey) },
  );
  await soon(async () => (await gateway.plane.request({ op: 'state' })).counters.drops['unknown-index']! > 0);
  t.equal(gateway.tun.written.length, 2);
  t.equal((await gateway.plane.request({ op: 'state' })).peers.length, 0);
  gateway.send(packet4(1, 2));
  await soon(() => gateway.tun.written.length === 3);
  t.equal(gateway.tun.written[2]![20], 3, 'nor in the other direction: unreachable');
});

t.test('a deadline needs no packet', async t => {
  const { gateway } = await connected();
  await gateway.plane.request({ op: 'renew', id: 's_1', untilMs: 50 });
  gateway.now += 1_000_001;
  gateway.plane.turn();
  await soon(() => gateway.events.some(event => event.ev === 'session' && event.kind === 'ended'));
  t.equal((await gateway.plane.request({ op: 'sessions' })).length, 0);
});

t.test('a sleep ends the keys, and the next packet makes new ones', async t => {
  const { gateway, client } = await connected();
  gateway.woke = true;
  client.send(packet4(2, 1));
  await soon(async () => (await gateway.plane.request({ op: 'state' })).counters.drops['unknown-index']! > 0);
  t.equal(gateway.tun.written.length, 1);
  await soon(() => gateway.logs('info').some(line => /the machine slept/.test(line)));
  gateway.now += 6000; // initiations of one peer are limited
  gateway.send(packet4(1, 2));
  await soon(() => client.tun.written.length === 1);
});

t.test('revoke: no packet after it', async t => {
  const { gateway, client } = await connected();
  const device = toHex(client.keys.publicKey);
  t.strictSame(await gateway.plane.request({ op: 'revoke', device, reason: 'revoked-admin' }), {
    revoked: true,
  });
  client.send(packet4(2, 1));
  await soon(async () => (await gateway.plane.request({ op: 'state' })).counters.drops['unknown-index']! > 0);
  t.equal(gateway.tun.written.length, 1);
});

t.test('the link is followed', async t => {
  const side = new Side();
  side.link = { isUp: false, mtu: 1420, tunFlags: 0x1001 };
  side.plane.turn();
  const state = () => side.plane.request({ op: 'state' });
  const look = (ms = 1000): void => {
    side.now += ms;
    side.plane.turn();
  };
  t.equal((await state()).isUp, false);
  side.link = { isUp: true, mtu: 1380, tunFlags: 0x1001 };
  look(250);
  t.match(await state(), { isUp: true, mtu: 1380 });
  side.link = { isUp: false, mtu: 1380, tunFlags: 0x1001 };
  look(10);
  t.equal((await state()).isUp, true, 'it does not look at every packet');
  look();
  t.equal((await state()).isUp, false);
  side.link = null;
  look();
  t.equal(await side.plane.closed, 0, 'gone');
  t.ok(side.tun.isClosed);
  await t.rejects(state(), { code: 'dataplane-gone' });
  side.plane.turn();
});

t.test('where /sys shows nothing it counts as up', async t => {
  const side = new Side();
  side.link = null;
  side.plane.turn();
  t.match(await side.plane.request({ op: 'state' }), { isUp: true, mtu: 1420 });
  side.tun.push(-77);
  process.emit('SIGURG', 'SIGURG');
  t.equal(await side.plane.closed, 0, 'and the descriptor tells of the end');
});

t.test('a port that is taken: told once, tried again', async t => {
  const other = createSocket('udp4').bind(0);
  await once(other, 'listening');
  const side = new Side();
  const change = { listenPort: other.address().port, fwmark: 0, peers: [] };
  side.plane.turn();
  t.strictSame(await side.plane.request({ op: 'configure', change }), { errno: -98 }, 'the sockets stay');
  await side.plane.request({ op: 'down' });
  t.strictSame(await side.plane.request({ op: 'configure', change }), { errno: 0 }, 'a wish');
  for (let i = 0; i < 3; i++) {
    side.now += 1000;
    side.plane.turn();
  }
  await soon(() => side.logs('error').length > 0);
  t.match(side.logs('error'), [/^cannot open UDP port \d+: in use/]);
  other.close();
  await once(other, 'close');
  side.now += 1000;
  side.plane.turn();
  t.equal((await side.plane.request({ op: 'state' })).isUp, true);
  const mark = { fwmark: 5, peers: [] };
  t.strictSame(await side.plane.request({ op: 'configure', change: mark }), { errno: -98 });
  await soon(() => side.logs('warn').length > 0);
});

t.test('an error of ours is told and is the end', async t => {
  const side = new Side();
  await side.open();
  Object.defineProperty(side, 'link', {
    get: () => {
      throw new Error('a bug');
    },
  });
  side.now += 1000;
  side.plane.turn();
  t.equal(await side.plane.closed, 0);
  t.match(
    side.events.find(event => event.ev === 'fatal'),
    { message: /a bug/ },
  );
  t.match(side.events.at(-1), { ev: 'closed' });
});

t.test('starting: on what is no TUN, and the host of the agent', async t => {
  await t.rejects(startInherited({ ifname: 'wg0', tunFd: 0 }), { code: 'tun-fd' });
  const host = inheritedHost(async () => new Side().plane);
  t.equal(host.kernel, null);
  t.ok(host.bootMs() > 0);
  t.ok(host.wallMs() > 0);
});
