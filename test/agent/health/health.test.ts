import { mock } from 'node:test';
import t from 'tap';
import { Health, stateOf } from '../../../src/agent/health/health.ts';
import type {
  Command,
  CommandResult,
  DeviceState,
  Link,
  SessionEvent,
} from '../../../src/agent/dataplane/commands.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';
import { plainPeer } from '../../fixtures/system/grant.ts';

function condition(link: Link): Health {
  return new Health({
    link,
    ifname: 'wg0',
    agent: 'a_1',
    core: { phase: 'synced', isConnected: true, reconnects: 2, lastError: '' } as never,
    coreUrl: 'https://core.example',
    location: () => 'office',
    admission: { results: new Map(), ends: new Map() } as never,
    clock: { source: 'core' } as never,
  });
}

const ended = (id: string, reason?: 'stale'): SessionEvent => ({
  ev: 'session',
  kind: 'ended',
  id,
  device: '55'.repeat(32),
  ...(reason !== undefined && { reason }),
  counters: { rx: 0, tx: 0, handshakes: 0 },
  sinceHandshakeMs: 0,
  endpoint: null,
});

t.test('well as long as the data plane answers', async t => {
  const link = new FakeLink();
  const asked = condition(link);
  t.strictSame(await asked.health(), { ok: true });
  link.isGone = true;
  t.strictSame(await asked.health(), { ok: false, why: 'the data plane is gone' });
  t.strictSame(await asked.ready(), { ok: false, why: 'the data plane is gone' });
});

t.test('a data plane that hangs is found out after two seconds', async t => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const silent: Link = {
    request: () => new Promise(() => undefined),
    onEvent: () => () => undefined,
  };
  const health = condition(silent).health();
  mock.timers.tick(1999);
  const early = await Promise.race([health, Promise.resolve('waits')]);
  t.equal(early, 'waits');
  mock.timers.tick(1);
  t.strictSame(await health, { ok: false, why: 'the data plane does not answer' });
});

t.test('ready when the interface is up', async t => {
  class Device extends FakeLink {
    isUp = false;
    override async request<C extends Command>(command: C): Promise<CommandResult[C['op']]> {
      const answer = await super.request(command);
      return (
        command.op === 'state' ? { ...(answer as DeviceState), isUp: this.isUp } : answer
      ) as CommandResult[C['op']];
    }
  }
  const link = new Device();
  const asked = condition(link);
  t.strictSame(await asked.ready(), { ok: false, why: 'interface wg0 is down or its port is taken' });
  link.isUp = true;
  t.strictSame(await asked.ready(), { ok: true });
});

t.test('no key comes along with the state', async t => {
  const link = new FakeLink();
  link.privateKey = new Uint8Array(32).fill(0x66);
  await link.request({ op: 'grant', grant: plainPeer() });
  const state = await stateOf(link);
  t.strictSame(state.privateKey, new Uint8Array(32));
  t.equal(state.peers.length, 1);
  for (const peer of state.peers) t.strictSame(peer.presharedKey, new Uint8Array(32));
  t.ok(
    link.privateKey.every(byte => byte === 0x66),
    'only the copy was wiped',
  );
});

t.test('the latest ends are remembered, twenty of them', async t => {
  const asked = condition(new FakeLink());
  asked.note(ended('s_without'), 0);
  for (let i = 0; i < 25; i++) asked.note(ended(`s_${i}`, 'stale'), 1_700_000_000_000 + i);
  const { recentEnds, location, clock } = await asked.status();
  t.strictSame([location, clock], ['office', 'core']);
  t.equal(recentEnds.length, 20);
  t.match(recentEnds[0], { id: 's_5', reason: 'stale' });
  t.match(recentEnds[19], { id: 's_24', at: '2023-11-14T22:13:20.024Z' });
});

t.test('metrics are text for Prometheus', async t => {
  const text = await condition(new FakeLink()).metrics();
  t.match(text, /^# HELP /m);
  t.match(text, /sallyport_core_connected 1/);
});
