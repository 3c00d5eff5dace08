// The three-minute rule with nothing shortened: a client logs in, falls silent, and is gone 180 seconds after its last
// handshake, a quarter of a second late at most. No Core, no Proxy, no timer of the control plane takes part.

import t from 'tap';
import { Lab, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { newKeys, node26, ours, plan, Tunnel, wg, whyNoPeers } from '../fixtures/lab/tunnels.ts';

const staleAfterMs = 180_000;
t.setTimeout(staleAfterMs + 60_000);
const skip = whyNoLab() ?? whyNoPeers() ?? false;

type Line = {
  at: number;
  ev?: string;
  kind?: string;
  reason?: string;
  sinceHandshakeMs?: number;
  peers?: number;
};

t.test('a silenced client is logged out 180.0 s after its last handshake', { skip }, async t => {
  const lab = new Lab('stl-');
  t.teardown(() => lab.close());
  const [near, far] = [lab.namespace('a'), lab.namespace('b')];
  lab.cable(near, far, [`${plan.a.outer4}/24`], [`${plan.b.outer4}/24`]);
  const keys = newKeys();
  const psk = wg('genpsk');
  const client = await Tunnel.start(lab, ours(), far, plan.b.port);

  const program = new URL('../fixtures/lab/gatewayprocess.ts', import.meta.url).pathname;
  const gateway = near.start(node26, ['--disable-warning=ExperimentalWarning', program], { input: true });
  const setup = {
    ifname: lab.interfaceName(),
    privateKey: keys.privateKey,
    port: plan.a.port,
    device: client.keys.publicKey,
    psk,
    address: plan.b.inner4.split('.').map(Number),
    staleAfterMs,
  };
  gateway.child.stdin!.write(`${JSON.stringify(setup)}\n`);
  const lines = (): Line[] =>
    gateway.stdout
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as Line);
  const find = (kind: string): Line | undefined => lines().find(line => line.kind === kind);
  t.ok(
    await until(() => gateway.stdout.includes('granted'), 15_000),
    `the gateway is ready ${gateway.stderr}`,
  );
  near.ip(`addr add ${plan.a.inner4}/24 dev ${setup.ifname}`);

  const endpoint = ['endpoint', `${plan.a.outer4}:${plan.a.port}`, 'persistent-keepalive', '25'];
  client.peer(keys.publicKey, ['allowed-ips', `${plan.a.inner4}/32`, ...endpoint], psk);
  client.up([`${plan.b.inner4}/24`]);
  t.equal(far.ping(plan.a.inner4, 3), 3, 'the session carries packets');
  t.ok(await until(() => find('confirmed') !== undefined, 5000), 'the first handshake is reported');
  const confirmed = find('confirmed')!;
  client.process.child.kill('SIGKILL');

  t.ok(await until(() => find('ended') !== undefined, staleAfterMs + 5000, 100), 'the session ended');
  const ended = find('ended')!;
  t.equal(ended.reason, 'stale');
  const since = ended.sinceHandshakeMs!;
  t.ok(
    since >= staleAfterMs && since <= staleAfterMs + 250,
    `${since.toFixed(1)} ms after the handshake, by its own clock`,
  );
  const measured = ended.at - confirmed.at;
  t.ok(
    Math.abs(measured - staleAfterMs) <= 250,
    `${measured.toFixed(1)} ms between the two events, seen from outside the data plane`,
  );
  process.kill(gateway.pid, 'SIGUSR1');
  t.ok(await until(() => lines().some(line => line.peers === 0), 5000), 'no peer is left on the interface');
});
