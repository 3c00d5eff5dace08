import t from 'tap';
import { errno, formatState, SetParser } from '../../../src/agent/uapi/parse.ts';
import type { DeviceChange, DeviceState, PeerState } from '../../../src/agent/dataplane/commands.ts';
import { formatPrefix } from '../../../src/util/inet.ts';
import { toHex } from '../../../src/util/bytes.ts';

const k1 = '11'.repeat(32);
const k2 = '22'.repeat(32);

function parse(...lines: string[]): { errno: number; changes: unknown[] } {
  const parser = new SetParser();
  for (const line of lines) {
    const code = parser.accept(line);
    if (code !== 0) return { errno: code, changes: parser.take(true).map(readable) };
  }
  return { errno: 0, changes: parser.take(true).map(readable) };
}

function readable(change: DeviceChange): unknown {
  return {
    ...change,
    ...(change.privateKey && { privateKey: toHex(change.privateKey) }),
    peers: change.peers.map(peer => ({
      ...peer,
      publicKey: toHex(peer.publicKey).slice(0, 2),
      ...(peer.presharedKey && { presharedKey: toHex(peer.presharedKey).slice(0, 2) }),
      ...(peer.allowedIps && {
        allowedIps: peer.allowedIps.map(ip => (ip.remove ? '-' : '') + formatPrefix(ip)),
      }),
    })),
  };
}

t.test('U3 device lines, in the order written', async t => {
  t.strictSame(parse(`private_key=${k1}`, 'listen_port=51820', 'fwmark=4294967295', 'replace_peers=true'), {
    errno: 0,
    changes: [
      { privateKey: k1, peers: [] },
      { listenPort: 51820, peers: [] },
      { fwmark: 4294967295, peers: [] },
      { replacePeers: true, peers: [] },
    ],
  });
  t.strictSame(
    parse(`private_key=${'0'.repeat(64)}`).changes,
    [{ privateKey: null, peers: [] }],
    'zero is unset',
  );
});

t.test('U3 peer lines', async t => {
  t.strictSame(
    parse(
      `public_key=${k1.toUpperCase()}`,
      `preshared_key=${k2}`,
      'protocol_version=1',
      'endpoint=[fe80::1%eth0]:7',
      'persistent_keepalive_interval=25',
      'replace_allowed_ips=true',
      'allowed_ip=10.0.0.9/8',
      'allowed_ip=::1/128',
      'allowed_ip=-10.0.0.0/8',
      `public_key=${k2}`,
      'update_only=true',
      'endpoint=1.2.3.4:5',
    ),
    {
      errno: 0,
      changes: [
        {
          peers: [
            {
              publicKey: '11',
              presharedKey: '22',
              endpoint: { host: 'fe80::1', port: 7, scope: 'eth0' },
              persistentKeepalive: 25,
              replaceAllowedIps: true,
              allowedIps: ['10.0.0.0/8', '::1/128', '-10.0.0.0/8'],
            },
            { publicKey: '22', updateOnly: true, endpoint: { host: '1.2.3.4', port: 5 } },
          ],
        },
      ],
    },
  );
});

t.test('order within a section is kept', async t => {
  t.strictSame(
    parse(`public_key=${k1}`, 'allowed_ip=1.0.0.0/8', 'replace_allowed_ips=true', 'allowed_ip=2.0.0.0/8')
      .changes,
    [
      {
        peers: [
          { publicKey: '11', allowedIps: ['1.0.0.0/8'] },
          { publicKey: '11', updateOnly: true, replaceAllowedIps: true, allowedIps: ['2.0.0.0/8'] },
        ],
      },
    ],
  );
  t.strictSame(
    parse(
      `public_key=${k1}`,
      'allowed_ip=1.0.0.0/8',
      'remove=true',
      'allowed_ip=2.0.0.0/8',
      'remove=true',
      'replace_allowed_ips=true',
    ).changes,
    [
      {
        peers: [
          { publicKey: '11', allowedIps: ['1.0.0.0/8'] },
          { publicKey: '11', updateOnly: true, remove: true },
        ],
      },
    ],
    'after remove, lines are checked and forgotten',
  );
  t.strictSame(
    parse(`public_key=${k1}`, 'allowed_ip=1.0.0.0/8', 'replace_allowed_ips=true', 'update_only=true').changes,
    [
      {
        peers: [
          { publicKey: '11', allowedIps: ['1.0.0.0/8'], updateOnly: true },
          { publicKey: '11', updateOnly: true, replaceAllowedIps: true },
        ],
      },
    ],
    'a late update_only covers the whole section',
  );
});

t.test('U4 which mistake gets which number, U5 what came before stays', async t => {
  const before = `public_key=${k1}`;
  for (const [line, code] of [
    ['', errno.protocol],
    ['nonsense', errno.protocol],
    ['=', errno.invalid],
    ['private_key=', errno.invalid],
    [`private_key=${k1}0`, errno.invalid],
    [`private_key=${'g'.repeat(64)}`, errno.invalid],
    ['listen_port=', errno.invalid],
    ['listen_port=65536', errno.invalid],
    ['listen_port=-1', errno.invalid],
    ['listen_port=1 ', errno.invalid],
    ['fwmark=', errno.invalid],
    ['fwmark=0x1', errno.invalid],
    ['fwmark=4294967296', errno.invalid],
    ['replace_peers=false', errno.invalid],
    ['replace_peers=', errno.invalid],
    ['allowed_ip=1.2.3.4/32', errno.invalid],
    ['public_key=11', errno.invalid],
  ] as const)
    t.strictSame(
      parse('listen_port=0001', line),
      { errno: code, changes: [{ listenPort: 1, peers: [] }] },
      line,
    );
  for (const line of [
    `private_key=${k1}`,
    'listen_port=1',
    'update_only=1',
    'remove=yes',
    'preshared_key=',
    'endpoint=localhost:1',
    'endpoint=1.2.3.4',
    'persistent_keepalive_interval=off',
    'persistent_keepalive_interval=65536',
    'replace_allowed_ips=1',
    'allowed_ip=1.2.3.4',
    'allowed_ip=+1.2.3.4/32',
    'allowed_ip=--1.2.3.4/32',
    'protocol_version=2',
    'future=1',
  ])
    t.strictSame(
      parse(before, 'allowed_ip=9.0.0.0/8', line),
      { errno: errno.invalid, changes: [{ peers: [{ publicKey: '11', allowedIps: ['9.0.0.0/8'] }] }] },
      line,
    );
  t.strictSame(parse(before, 'public_key=zz'), {
    errno: errno.invalid,
    changes: [{ peers: [{ publicKey: '11' }] }],
  });
});

t.test('long operations are handed out in pieces', async t => {
  const parser = new SetParser();
  let peers = 0;
  const count = (changes: DeviceChange[]): void => {
    for (const change of changes) peers += change.peers.length;
  };
  for (let i = 0; i < 1000; i++) {
    t.equal(parser.accept(`public_key=${i.toString(16).padStart(64, '0')}`), 0);
    if (parser.isFull) {
      count(parser.take(false));
      t.ok(peers <= i, 'the open section is not handed out');
    }
  }
  count(parser.take(true));
  t.equal(peers, 1000);
  const wide = new SetParser();
  const sizes: number[] = [];
  const note = (changes: DeviceChange[]): void => {
    for (const change of changes) for (const peer of change.peers) sizes.push(peer.allowedIps?.length ?? 0);
  };
  wide.accept(`public_key=${k1}`);
  for (let i = 0; i < 10_000; i++) {
    wide.accept(`allowed_ip=10.0.${i >> 8}.${i & 255}/32`);
    if (wide.isFull) note(wide.take(false));
  }
  note(wide.take(true));
  t.equal(
    sizes.reduce((a, b) => a + b),
    10_000,
  );
  t.ok(Math.max(...sizes) <= 4096);
});

function peerState(change: Partial<PeerState> = {}): PeerState {
  return {
    publicKey: new Uint8Array(32).fill(0x11),
    presharedKey: new Uint8Array(32),
    endpoint: null,
    lastHandshakeWallMs: 0,
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
    session: null,
    ...change,
  };
}

function deviceState(change: Partial<DeviceState> = {}): DeviceState {
  return {
    ifname: 'wg0',
    publicKey: null,
    privateKey: null,
    listenPort: 0,
    fwmark: 0,
    mtu: 1420,
    peers: [],
    counters: {
      drops: {},
      handshakes: {},
      batches: { bounds: [], counts: [], sum: 0 },
      loopLagMs: 0,
      offloads: [],
      threads: 1,
      crypto: 'test',
    },
    ...change,
  };
}

t.test('U2 get', async t => {
  t.equal(formatState(deviceState()), '');
  t.equal(formatState(deviceState({ privateKey: new Uint8Array(32) })), '', 'a zero key is no key');
  t.equal(
    formatState(
      deviceState({
        privateKey: new Uint8Array(32).fill(0xab),
        listenPort: 51820,
        fwmark: 51820,
        peers: [
          peerState({
            endpoint: '[2001:db8::1]:5',
            lastHandshakeWallMs: 1_700_000_000_123.5,
            txBytes: 10,
            rxBytes: 4_503_599_627_370_496,
            persistentKeepalive: 25,
            allowedIps: [
              { family: 4, address: new Uint8Array([10, 0, 0, 0]), prefix: 8 },
              { family: 6, address: new Uint8Array(16), prefix: 0 },
            ],
          }),
          peerState(),
        ],
      }),
    ),
    `private_key=${'ab'.repeat(32)}
listen_port=51820
fwmark=51820
public_key=${k1}
preshared_key=${'0'.repeat(64)}
protocol_version=1
endpoint=[2001:db8::1]:5
last_handshake_time_sec=1700000000
last_handshake_time_nsec=123500000
tx_bytes=10
rx_bytes=4503599627370496
persistent_keepalive_interval=25
allowed_ip=10.0.0.0/8
allowed_ip=::/0
public_key=${k1}
preshared_key=${'0'.repeat(64)}
protocol_version=1
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
`,
  );
});

t.test('the PSK of a session can be left out', async t => {
  const session = { id: 'g' } as PeerState['session'];
  const text = formatState(deviceState({ peers: [peerState({ session }), peerState()] }), false);
  t.equal(text.match(/preshared_key/g)?.length, 1);
});
