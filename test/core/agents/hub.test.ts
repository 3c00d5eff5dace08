import t from 'tap';
import { Hub } from '../../../src/core/agents/hub.ts';
import type { HeldGrant, HubEvents } from '../../../src/core/agents/hub.ts';
import type { CoreFrame } from '../../../src/control/wire/agentchannel.ts';

const counters = { rx: 0, tx: 0, handshakes: 0 };

function hub(grants: HeldGrant[] = []): { hub: Hub; said: string[]; events: HubEvents } {
  const said: string[] = [];
  const events: HubEvents = {
    snapshot: () => grants,
    config: () => ({ location: 'l', name: 'n', addresses: [], mtu: 1420, keepalive: 25 }),
    granted: (agent, id) => said.push(`granted ${agent} ${id}`),
    refused: (agent, id, code) => said.push(`refused ${agent} ${id} ${code}`),
    ended: (agent, id, reason) => said.push(`ended ${agent} ${id} ${reason}`),
    confirmed: (agent, id) => said.push(`confirmed ${agent} ${id}`),
    roamed: (agent, id) => said.push(`roamed ${agent} ${id}`),
    stats: (agent, sessions) => said.push(`stats ${agent} ${sessions.length}`),
  };
  return { hub: new Hub(events), said, events };
}

function line(): {
  send(frame: CoreFrame): boolean;
  close(code: number): void;
  frames: CoreFrame[];
  closed: number | null;
} {
  return {
    frames: [],
    closed: null,
    send(frame) {
      this.frames.push(frame);
      return true;
    },
    close(code) {
      this.closed = code;
    },
  };
}

t.test('a snapshot in chunks, then deltas in sequence', async t => {
  const grants = Array.from({ length: 20 }, (_, i) => ({ id: `s_${i}`, grant: `g${i}`, until: i }));
  const { hub: h, said } = hub(grants);
  const wire = line();
  h.connect('a', 'l', wire, 0);
  t.same(
    wire.frames.map(frame => frame.type),
    ['snapshot', 'snapshot', 'snapshotEnd'],
  );
  h.grant('a', 's_x', 'text', 5, 0);
  h.renew('a', 's_x', 6);
  h.revoke('a', 's_x', 'K', 1, 'policy', 0);
  h.configure('a');
  t.same(
    wire.frames.slice(2).map(frame => ('seq' in frame ? frame.seq : null)),
    [1, 2, 3, 4, 5],
  );
  h.receive('a', { type: 'synced', seq: 1, grants: 19, refused: [{ id: 's_3', code: 'ended' }] });
  t.equal(said.filter(words => words.startsWith('granted')).length, 19);
  t.ok(said.includes('refused a s_3 ended'));
  said.length = 0;
  h.receive('a', { type: 'synced', seq: 1, grants: 0, refused: [] });
  t.same(said, [], 'a snapshot is acknowledged once');
  h.receive('a', { type: 'resync', seq: 4 });
  t.same(
    wire.frames.slice(-3).map(frame => frame.type),
    ['snapshot', 'snapshot', 'snapshotEnd'],
  );
});

t.test('grants and revokes are repeated until acknowledged, then the agent is given up', async t => {
  const { hub: h } = hub();
  const wire = line();
  h.connect('a', 'l', wire, 0);
  h.grant('a', 's_1', 'one', 0, 0);
  h.grant('a', 's_2', 'two', 0, 0);
  h.receive('a', { type: 'granted', id: 's_1' });
  h.tick(1999);
  t.equal(wire.frames.filter(frame => frame.type === 'grant').length, 2);
  h.tick(2000);
  const again = wire.frames.filter(frame => frame.type === 'grant').at(-1);
  t.match(again, { grant: 'two', seq: 4 }, 'the same again, with a number of its own');
  h.tick(4000);
  h.tick(6000);
  t.equal(wire.closed, null);
  h.tick(8000);
  t.equal(wire.closed, 4003);
  t.equal(h.isConnected('a'), false);
});

t.test('a revoke overtakes the grant it ends', async t => {
  const { hub: h } = hub();
  const wire = line();
  h.connect('a', 'l', wire, 0);
  h.grant('a', 's_1', 'one', 0, 0);
  h.revoke('a', 's_1', 'K', 1, 'revoked-admin', 0);
  h.tick(2500);
  t.equal(wire.frames.filter(frame => frame.type === 'grant').length, 1, 'not repeated');
  t.equal(wire.frames.filter(frame => frame.type === 'revoke').length, 2);
  h.receive('a', { type: 'revoked', id: 's_1', device: 'K', epoch: 1 });
  h.tick(9000);
  t.equal(wire.frames.filter(frame => frame.type === 'revoke').length, 2);
});

t.test('the second connection of an agent replaces the first', async t => {
  const { hub: h, said } = hub();
  const first = line();
  const second = line();
  h.connect('a', 'l', first, 0);
  h.connect('a', 'l', second, 0);
  t.equal(first.closed, 4002);
  t.equal(h.disconnect('a', first), false, 'the late goodbye of the first changes nothing');
  t.same(h.connected('l'), ['a']);
  t.same(h.connected('m'), []);
  t.same(h.connected(), ['a']);
  t.equal(h.disconnect('a', second), true);
  t.equal(h.receive('a', { type: 'granted', id: 's' }), true);
  t.same(said, []);
  for (const sent of [h.grant('a', 's', 'x', 0, 0), h.renew('a', 's', 1), h.configure('a')])
    t.equal(sent, false);
});

t.test('what agents report', async t => {
  const { hub: h, said } = hub();
  const wire = line();
  h.connect('a', 'l', wire, 0);
  h.receive('a', { type: 'session', id: 's', event: 'confirmed', counters });
  h.receive('a', { type: 'session', id: 's', event: 'roamed', counters });
  h.receive('a', { type: 'session', id: 's', event: 'ended', reason: 'idle', counters });
  h.receive('a', { type: 'session', id: 's', event: 'ended', counters });
  h.receive('a', { type: 'stats', bootId: 'b', sessions: [] });
  h.receive('a', { type: 'refused', id: 's', code: 'seal' });
  h.receive('a', { type: 'pong', n: 1 });
  t.same(said, [
    'confirmed a s',
    'roamed a s',
    'ended a s idle',
    'ended a s agent-stopped',
    'stats a 0',
    'refused a s seal',
  ]);
  t.equal(wire.frames.filter(frame => frame.type === 'noted').length, 2);
  const hello = {
    type: 'hello',
    agentId: 'a',
    bootId: 'b',
    version: 'v',
    caps: [],
    nonce: '',
    signature: '',
  } as const;
  t.equal(h.receive('a', hello), false, 'a second hello has no place');
  h.tick(10_000);
  t.equal(wire.frames.at(-1)!.type, 'ping');
  h.dismiss('a', 4001, 'removed');
  t.equal(wire.closed, 4001);
  const next = line();
  h.connect('a', 'loc', next, 10_000);
  h.closeAll(1001, 'stop');
  t.equal(next.closed, 1001);
});
