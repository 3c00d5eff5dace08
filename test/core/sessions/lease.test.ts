import t from 'tap';
import { nextLease } from '../../../src/core/sessions/lease.ts';
import type { Session } from '../../../src/core/store/sessions.ts';

const session = (lease: number, leaseUntil: number, expiresAt = 1e9): Session =>
  ({ id: 's_1', policy: { lease }, leaseUntil, expiresAt }) as Session;

t.test('after a third of the lease, to the agents that can hear of it', async t => {
  t.strictSame(nextLease(session(90, 90_000), ['a'], 10_000), { next: 30_000, renewal: null });
  t.strictSame(nextLease(session(90, 90_000), ['a', 'b'], 30_000), {
    next: 60_000,
    renewal: { id: 's_1', until: 120_000, agents: ['a', 'b'] },
  });
});

t.test('no agent is connected: again in ten seconds', async t => {
  t.strictSame(nextLease(session(90, 90_000), [], 30_000), { next: 40_000, renewal: null });
});

t.test('no lease, and one that reaches the end of the session', async t => {
  t.strictSame(nextLease(session(0, 0), ['a'], 5), { next: Infinity, renewal: null });
  t.strictSame(nextLease(session(90, 50_000, 50_000), ['a'], 40_000), { next: Infinity, renewal: null });
});
