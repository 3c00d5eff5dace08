import t from 'tap';
import { Tunnel } from '../../../src/client/daemon/tunnel.ts';
import { deviceKeys, gatewayKeys, location } from '../../fixtures/system/client.ts';
import { FakePlane } from '../../fixtures/packets/plane.ts';

const { config } = location();
const open = async (plane: FakePlane, network = plane.network) =>
  await Tunnel.open('sp-office', config, deviceKeys.privateKey, plane, network);

t.test('up: key, peer and addresses, but neither PSK nor keepalive', async t => {
  const plane = new FakePlane();
  const tunnel = await open(plane);
  const [change] = plane.changes;
  t.match(change, { privateKey: deviceKeys.privateKey, replacePeers: true });
  t.match(change!.peers[0], {
    publicKey: gatewayKeys.publicKey,
    endpoint: { host: '192.0.2.1', port: 51820 },
    persistentKeepalive: 0,
    allowedIps: [
      { family: 4, prefix: 24 },
      { family: 6, prefix: 64 },
    ],
  });
  t.notOk('presharedKey' in change!.peers[0]!);
  t.strictSame(plane.configured, ['10.66.0.2/32']);
  await tunnel.close();
  t.strictSame([plane.undone, plane.stopped], [1, 1]);
});

t.test('a location without a gateway is up without a peer, and may have one at the login', async t => {
  const plane = new FakePlane();
  const nowhere = { ...config, gateways: [] };
  const tunnel = await Tunnel.open('sp-office', nowhere, deviceKeys.privateKey, plane, plane.network);
  t.strictSame(plane.changes[0]!.peers, []);
  const psk = new Uint8Array(32).fill(1);
  await t.rejects(tunnel.begin(psk, nowhere), { code: 'no-gateway' });
  t.strictSame(psk, new Uint8Array(32));
  const lost = { ...config, gateways: [{ ...config.gateways[0]!, endpoint: 'gate.invalid:1' }] };
  await t.rejects(tunnel.begin(psk, lost), { code: 'gateway-unknown' });
  await tunnel.rekey();
  await tunnel.begin(new Uint8Array(32).fill(2), config);
  t.match(plane.changes.at(-1)!.peers, [
    { publicKey: gatewayKeys.publicKey, presharedKey: new Uint8Array(32).fill(2) },
  ]);
  await tunnel.close();
  const early = new FakePlane();
  await Tunnel.open('sp-office', lost, deviceKeys.privateKey, early, early.network);
  t.strictSame(early.changes[0]!.peers, [], 'no name server yet');
});

t.test('a session begins and ends with a fresh peer; the PSK is wiped with it', async t => {
  const plane = new FakePlane();
  const tunnel = await open(plane);
  const psk = new Uint8Array(32).fill(7);
  await tunnel.begin(psk, { ...config, keepalive: 20 });
  t.match(plane.changes[1]!.peers[0], { publicKey: gatewayKeys.publicKey, remove: true });
  t.match(plane.changes[1]!.peers[1], { presharedKey: new Uint8Array(32).fill(7), persistentKeepalive: 20 });
  await tunnel.rekey();
  t.match(plane.changes[2]!.peers, [{ remove: true }, { presharedKey: new Uint8Array(32).fill(7) }]);
  await tunnel.end();
  t.notOk('presharedKey' in plane.changes[3]!.peers[1]!);
  t.strictSame(psk, new Uint8Array(32));
});

t.test(
  'a login while a session lives: the same peer with the new PSK, whose keys in use carry on',
  async t => {
    const plane = new FakePlane();
    const tunnel = await open(plane);
    const first = new Uint8Array(32).fill(1);
    await tunnel.begin(first, config);
    await tunnel.begin(new Uint8Array(32).fill(2), { ...config, keepalive: 7 });
    t.strictSame(first, new Uint8Array(32));
    const { peers } = plane.changes[2]!;
    t.equal(peers.length, 1);
    t.notOk(peers[0]!.remove);
    t.match(peers[0], {
      publicKey: gatewayKeys.publicKey,
      presharedKey: new Uint8Array(32).fill(2),
      persistentKeepalive: 7,
      handshake: true,
    });
    await tunnel.end();
    await tunnel.end();
    t.equal(plane.changes.length, 4, 'nothing is left to end');
  },
);

t.test('the next login wipes the PSK of the last, and may name another gateway', async t => {
  const plane = new FakePlane();
  const tunnel = await open(plane);
  const first = new Uint8Array(32).fill(1);
  const second = new Uint8Array(32).fill(2);
  await tunnel.begin(first, config);
  const other = Buffer.from(new Uint8Array(32).fill(9)).toString('base64');
  await tunnel.begin(second, { ...config, gateways: [{ publicKey: other, endpoint: '[2001:db8::1]:1000' }] });
  t.strictSame(first, new Uint8Array(32));
  t.match(plane.changes[2]!.peers, [
    { publicKey: gatewayKeys.publicKey, remove: true },
    { publicKey: new Uint8Array(32).fill(9), endpoint: { host: '2001:db8::1', port: 1000 } },
  ]);
  await tunnel.close();
  t.strictSame(second, new Uint8Array(32));
});

t.test(
  'a silent gateway: the next of the location, round and round, and none where there is one',
  async t => {
    const plane = new FakePlane();
    const tunnel = await open(plane);
    t.notOk(await tunnel.next(), 'not before a session');
    await tunnel.begin(new Uint8Array(32).fill(1), config);
    t.notOk(await tunnel.next(), 'there is no other');
    const other = { publicKey: Buffer.alloc(32, 9).toString('base64'), endpoint: '[2001:db8::1]:1000' };
    await tunnel.begin(new Uint8Array(32).fill(2), { ...config, gateways: [...config.gateways, other] });
    t.ok(await tunnel.next());
    t.match(plane.changes.at(-1)!.peers, [
      { publicKey: gatewayKeys.publicKey, remove: true },
      {
        publicKey: Buffer.alloc(32, 9),
        endpoint: { host: '2001:db8::1', port: 1000 },
        presharedKey: new Uint8Array(32).fill(2),
      },
    ]);
    t.strictSame(plane.held, [{ host: '2001:db8::1', udpPort: 1000 }]);
    t.ok(await tunnel.next());
    t.match(plane.changes.at(-1)!.peers, [
      { publicKey: Buffer.alloc(32, 9), remove: true },
      { publicKey: gatewayKeys.publicKey },
    ]);
    await tunnel.next();
    const lost = { ...other, endpoint: 'gate.invalid:1' };
    await tunnel.begin(new Uint8Array(32).fill(3), {
      ...config,
      gateways: [...config.gateways, lost, other],
    });
    t.ok(await tunnel.next());
    t.match(
      plane.changes.at(-1)!.peers.at(-1),
      { endpoint: { host: '2001:db8::1' } },
      'past one whose name is unknown',
    );
    await tunnel.begin(new Uint8Array(32).fill(4), { ...config, gateways: [lost, other] });
    t.match(
      plane.changes.at(-1)!.peers.at(-1),
      { endpoint: { host: '2001:db8::1' } },
      'nor does a login hang on one',
    );
    await tunnel.end();
    t.match(plane.changes.at(-1)!.peers[0], { publicKey: Buffer.alloc(32, 9), remove: true });
  },
);

t.test('state shows no key, and wipes those it was given', async t => {
  const plane = new FakePlane();
  const tunnel = await open(plane);
  await tunnel.begin(new Uint8Array(32).fill(3), config);
  plane.handshakeAt = 5;
  t.strictSame(await tunnel.state(), {
    endpoint: '192.0.2.1:51820',
    lastHandshakeWallMs: 5,
    txBytes: 1,
    rxBytes: 2,
  });
  t.strictSame(plane.lastState!.privateKey, new Uint8Array(32));
  t.strictSame(plane.lastState!.peers[0]!.presharedKey, new Uint8Array(32));
});

t.test('what fails on the way up leaves nothing behind', async t => {
  const plane = new FakePlane();
  plane.errno = -22;
  await t.rejects(open(plane), { code: 'tunnel', message: /errno 22/ });
  t.strictSame([plane.undone, plane.stopped], [1, 1]);
});
