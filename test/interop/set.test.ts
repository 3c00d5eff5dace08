// `wg set` of every field of a live peer costs no packet and no session (U10): the failure that makes session
// software on top of other implementations drop people at every refresh.

import t from 'tap';
import { Lab, pause, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, ours, plan, wg, wgInput, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;

t.test('every field under ping', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, ours(), wireguardGo());
  t.equal(a.namespace.ping(plan.b.inner4, 2), 2);
  const handshake = a.latestHandshake(b.keys.publicKey);
  const peer = ['set', a.ifname, 'peer', b.keys.publicKey];
  const changes: [name: string, change: () => unknown][] = [
    ['keepalive', () => wg(...peer, 'persistent-keepalive', '25')],
    ['keepalive off', () => wg(...peer, 'persistent-keepalive', 'off')],
    ['the same endpoint', () => wg(...peer, 'endpoint', `${plan.b.outer4}:${plan.b.port}`)],
    [
      'one more allowed address',
      () => wg(...peer, 'allowed-ips', `${plan.b.inner4}/32,${plan.b.inner6}/128,10.9.0.0/16`),
    ],
    ['one less', () => wg(...peer, 'allowed-ips', `${plan.b.inner4}/32,${plan.b.inner6}/128`)],
    [
      'another peer comes',
      () => wg('set', a.ifname, 'peer', wgInput(wg('genkey'), 'pubkey'), 'allowed-ips', '10.8.0.0/16'),
    ],
    [
      'a PSK at both ends',
      () => {
        const psk = wg('genpsk');
        a.peer(b.keys.publicKey, [], psk);
        b.peer(a.keys.publicKey, [], psk);
      },
    ],
    ['fwmark', () => wg('set', a.ifname, 'fwmark', '0x1')],
    ['fwmark off', () => wg('set', a.ifname, 'fwmark', '0')],
    ['the same private key', () => wgInput(a.keys.privateKey, 'set', a.ifname, 'private-key', '/dev/stdin')],
    ['listen port', () => wg('set', a.ifname, 'listen-port', '51888')],
  ];
  const perChange = 25;
  const count = (changes.length + 2) * perChange;
  const pings = a.namespace.pingMeanwhile(plan.b.inner4, count, 0.01);
  await pause(200);
  for (const [name, change] of changes) {
    change();
    t.pass(name);
    await pause(perChange * 10);
  }
  t.strictSame(await pings, { sent: count, received: count }, 'no ping lost');
  t.ok(a.latestHandshake(b.keys.publicKey) >= handshake, 'the session is still known');
  t.equal(b.namespace.ping(plan.a.inner4, 3), 3);
});
