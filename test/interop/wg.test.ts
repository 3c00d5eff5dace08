// The `wg` tool sees no difference: the same commands to us and to wireguard-go, and `dump`, `showconf`, `syncconf` and the
// raw UAPI answers compared byte for byte (U1-U9). wireguard-go lists peers in no order, so peers are sorted.

import t from 'tap';
import { connect as connectSocket } from 'node:net';
import { statSync } from 'node:fs';
import { Lab, whyNoLab } from '../fixtures/lab/netns.ts';
import {
  Tunnel,
  newKeys,
  ours,
  scratch,
  wg,
  wgInput,
  whyNoPeers,
  wireguardGo,
} from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);

const sorted = (text: string): string[] => text.split('\n').sort();

/** Peer sections in the order of their keys. */
function sortedSections(conf: string): string {
  const [head = '', ...peers] = conf.split(/^(?=\[Peer\])/m).map(section => section.trimEnd());
  return [head, ...peers.sort()].join('\n');
}

/**
 * All that one connection answers to `operations`, each sent when the one before is answered: wireguard-go's scanner swallows
 * what comes right behind a `set`. With the last we end our side, so the daemon closes when everything has been said.
 */
function ask(ifname: string, ...operations: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connectSocket(`/var/run/wireguard/${ifname}.sock`);
    const next = (): void => {
      const operation = operations.shift() ?? '';
      if (operations.length > 0) socket.write(operation);
      else socket.end(operation);
    };
    socket
      .setEncoding('utf8')
      .on('data', (text: string) => {
        answer += text;
        if (operations.length > 0 && /errno=-?\d+\n\n$/.test(answer)) next();
      })
      .on('end', () => resolve(answer))
      .on('error', reject);
    next();
  });
}

async function both(lab: Lab): Promise<[Tunnel, Tunnel]> {
  const [na, nb] = [lab.namespace('a'), lab.namespace('b')];
  const keys = newKeys();
  return [
    await Tunnel.start(lab, ours(), na, 51821, keys),
    await Tunnel.start(lab, wireguardGo(), nb, 51821, keys),
  ];
}

t.test('wg set, show, showconf, syncconf', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  const files = scratch();
  t.teardown(async () => {
    files.done();
    await lab.close();
  });
  const tunnels = await both(lab);
  const [we, they] = tunnels;
  const same = (what: string): void => {
    t.strictSame(
      sorted(wg('show', we.ifname, 'dump')),
      sorted(wg('show', they.ifname, 'dump')),
      `${what}: dump`,
    );
    t.equal(
      sortedSections(wg('showconf', we.ifname)),
      sortedSections(wg('showconf', they.ifname)),
      `${what}: showconf`,
    );
  };
  const set = (what: string, ...args: string[]): void => {
    for (const { ifname } of tunnels) wg('set', ifname, ...args);
    same(what);
  };
  const [one, two, three] = [newKeys(), newKeys(), newKeys()].map(keys => keys.publicKey) as [
    string,
    string,
    string,
  ];
  same('key and port');
  set('a peer', 'peer', one, 'allowed-ips', '10.1.2.3/8,fd00::1/32', 'endpoint', '192.0.2.1:51820');
  set('IPv6 endpoint', 'peer', two, 'endpoint', '[2001:db8::1]:1234', 'persistent-keepalive', '25');
  set('host bits are masked', 'peer', two, 'allowed-ips', '192.168.5.77/20,0.0.0.0/0,::/0,10.255.255.255/32');
  set('a prefix moves to another peer', 'peer', three, 'allowed-ips', '0.0.0.0/0,192.168.0.0/20');
  set('allowed-ips are replaced', 'peer', one, 'allowed-ips', 'fd99::/64');
  set('none at all', 'peer', one, 'allowed-ips', '');
  set('keepalive off', 'peer', two, 'persistent-keepalive', 'off');
  set('fwmark', 'fwmark', '0x1234');
  set('fwmark off', 'fwmark', 'off');
  set('another port', 'listen-port', '40404');
  const psk = wg('genpsk');
  for (const { ifname } of tunnels) wgInput(psk, 'set', ifname, 'peer', one, 'preshared-key', '/dev/stdin');
  same('pre-shared key');
  for (const { ifname } of tunnels) wg('set', ifname, 'peer', one, 'preshared-key', '/dev/null');
  same('pre-shared key off');
  set('an unknown peer goes', 'peer', newKeys().publicKey, 'remove');
  set('a peer goes', 'peer', two, 'remove');
  set('our own key as a peer', 'peer', we.keys.publicKey, 'allowed-ips', '10.77.0.0/16');

  const conf = `[Interface]\nPrivateKey = ${we.keys.privateKey}\nListenPort = 40405\nFwMark = 0x2a\n
[Peer]\nPublicKey = ${three}\nAllowedIPs = 10.3.0.0/16, fd03::/16\nPersistentKeepalive = 7\n
[Peer]\nPublicKey = ${two}\nPresharedKey = ${psk}\nAllowedIPs = 10.2.0.0/16\nEndpoint = 198.51.100.7:999\n`;
  for (const command of ['syncconf', 'setconf', 'addconf', 'syncconf']) {
    const file = files.write('wg.conf', conf);
    for (const { ifname } of tunnels) wg(command, ifname, file);
    same(command);
  }
  const everything = sorted(wg('show', 'all', 'dump'));
  for (const { ifname } of tunnels)
    t.equal(
      everything.filter(line => line.startsWith(`${ifname}\t`)).length,
      3,
      'show all dump lists both devices',
    );
  t.equal(
    wg('show', 'interfaces')
      .split(/\s+/)
      .filter(name => tunnels.some(one => one.ifname === name)).length,
    2,
  );
  const key = newKeys();
  for (const { ifname } of tunnels) wgInput(key.privateKey, 'set', ifname, 'private-key', '/dev/stdin');
  same('another private key');
  for (const { ifname } of tunnels) wg('set', ifname, 'private-key', '/dev/null');
  same('no private key');
});

t.test('many allowed addresses in the order they came', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  const files = scratch();
  t.teardown(async () => {
    files.done();
    await lab.close();
  });
  const [we, they] = await both(lab);
  const peer = newKeys().publicKey;
  const addresses: string[] = [];
  for (let i = 0; i < 2000; i++) addresses.push(`10.${(i * 37) % 256}.${(i * 91) % 256}.${i % 256}/32`);
  const unique = [...new Set(addresses)];
  const file = files.write('wg.conf', `[Peer]\nPublicKey = ${peer}\nAllowedIPs = ${unique.join(', ')}\n`);
  for (const { ifname } of [we, they]) wg('addconf', ifname, file);
  t.equal(wg('show', we.ifname, 'allowed-ips'), wg('show', they.ifname, 'allowed-ips'));
});

t.test('raw UAPI', { skip, timeout: 120_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const [we, they] = await both(lab);
  t.equal(
    statSync(`/var/run/wireguard/${we.ifname}.sock`).mode & 0o777,
    0o600,
    'nobody else may open the socket',
  );
  const hex = '00'.repeat(31);
  const peer = `public_key=${hex}07\n`;
  const requests = [
    'get=1\n\n',
    'set=1\n\n',
    `set=1\n${peer}allowed_ip=10.0.0.0/8\nendpoint=192.0.2.1:5\npersistent_keepalive_interval=3\n\n`,
    'get=1\n\n',
    `set=1\n${peer}protocol_version=1\n\n`,
    `set=1\n${peer}protocol_version=2\n\n`,
    `set=1\n${peer}allowed_ip=10.0.0.0\n\n`,
    `set=1\n${peer}allowed_ip=10.0.0.0/33\n\n`,
    `set=1\n${peer}allowed_ip=fd00::/129\n\n`,
    `set=1\n${peer}allowed_ip=banana/8\n\n`,
    `set=1\n${peer}replace_allowed_ips=yes\n\n`,
    `set=1\n${peer}remove=1\n\n`,
    `set=1\n${peer}update_only=false\n\n`,
    `set=1\n${peer}persistent_keepalive_interval=65536\n\n`,
    `set=1\n${peer}persistent_keepalive_interval=-1\n\n`,
    `set=1\n${peer}persistent_keepalive_interval=\n\n`,
    `set=1\n${peer}endpoint=example.org:51820\n\n`,
    `set=1\n${peer}endpoint=192.0.2.1\n\n`,
    `set=1\n${peer}endpoint=192.0.2.1:65536\n\n`,
    `set=1\n${peer}endpoint=2001:db8::1:51820\n\n`,
    `set=1\n${peer}preshared_key=1234\n\n`,
    `set=1\n${peer}preshared_key=${'zz'.repeat(32)}\n\n`,
    `set=1\npublic_key=1234\n\n`,
    `set=1\npublic_key=${hex}\n\n`,
    'set=1\nprivate_key=\n\n',
    'set=1\nprivate_key=00\n\n',
    'set=1\nlisten_port=65536\n\n',
    'set=1\nlisten_port=x\n\n',
    'set=1\nfwmark=-1\n\n',
    'set=1\nfwmark=0x10\n\n',
    'set=1\nfwmark=\n\n',
    'set=1\nfwmark=7\n\n',
    'set=1\nreplace_peers=false\n\n',
    'set=1\nbanana=1\n\n',
    'set=1\nno equals sign\n\n',
    'set=1\nallowed_ip=10.0.0.0/8\n\n',
    `set=1\npublic_key=${hex}09\nupdate_only=true\nallowed_ip=10.9.0.0/16\n\n`,
    `set=1\npublic_key=${hex}09\nremove=true\n\n`,
    `set=1\nlisten_port=41000\nbanana=1\n\n`,
    'get=1\n\n',
    'set=1\nreplace_peers=true\n\n',
    'get=1\n\n',
    'get=2\n\n',
    'banana\n',
    '\n',
  ];
  for (const request of requests) {
    const [ourAnswer, theirAnswer] = [await ask(we.ifname, request), await ask(they.ifname, request)];
    t.equal(ourAnswer, theirAnswer, JSON.stringify(request.replace(hex, '…')));
  }
  const several = ['set=1\nfwmark=8\n\n', 'get=1\n\n', 'set=1\nbanana=1\n\n', 'get=1\n\n'];
  const answers = await ask(we.ifname, ...several);
  t.equal(answers, await ask(they.ifname, ...several), 'several operations on one connection');
  t.equal(answers.match(/^errno=/gm)?.length, 4);
  // Newer than Debian's wireguard-go: a prefix taken away again, but only from its owner.
  const before = await ask(we.ifname, 'get=1\n\n');
  for (const [request, what] of [
    [`set=1\n${peer}allowed_ip=10.1.0.0/16\n\n`, 'given'],
    [`set=1\npublic_key=${hex}08\nallowed_ip=-10.1.0.0/16\n\n`, 'not taken by another'],
  ] as const) {
    t.equal(await ask(we.ifname, request), 'errno=0\n\n', what);
    t.match(await ask(we.ifname, 'get=1\n\n'), /allowed_ip=10\.1\.0\.0\/16/, what);
  }
  t.equal(await ask(we.ifname, `set=1\n${peer}allowed_ip=-10.1.0.0/16\n\n`), 'errno=0\n\n');
  t.notMatch(await ask(we.ifname, 'get=1\n\n'), /allowed_ip=10\.1\.0\.0\/16/, 'taken by its owner');
  t.notMatch(before, /allowed_ip=10\.1/);
});
