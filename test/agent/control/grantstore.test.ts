import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  GrantStore,
  type GrantStoreOptions,
  type StoredGrant,
} from '../../../src/agent/control/grantstore.ts';

const key = (n: number): string => Buffer.alloc(32, n).toString('base64');
const grant = (n: number, change: Partial<StoredGrant> = {}): StoredGrant => ({
  device: key(n),
  id: `s_${n}`,
  epoch: 1,
  live: true,
  grant: `sp1.x${n}.y`,
  until: 1000,
  endedAt: 0,
  ...change,
});
const counters = { rx: 1, tx: 2, handshakes: 3 };
const options = (directory: string, more: Partial<GrantStoreOptions> = {}): GrantStoreOptions => ({
  path: join(directory, 'grants.json'),
  agentId: 'a_1',
  warn: message => {
    throw new Error(message);
  },
  ...more,
});

t.test('over a restart', async t => {
  const directory = t.testdir();
  const store = GrantStore.load(options(directory));
  store.put(grant(1));
  store.put(grant(2));
  store.end(key(2), 's_2', 5000);
  store.report({ id: 's_2', reason: 'stale', counters, sinceHandshakeMs: 180_000, endpoint: '192.0.2.1:5' });
  store.see(6000, 1e9);
  await store.flush();
  const again = GrantStore.load(options(directory));
  t.strictSame(again.live(), [grant(1)]);
  t.equal(again.liveCount, 1);
  t.equal(again.seenAt, 6000);
  t.strictSame(again.held(key(2)), {
    device: key(2),
    id: 's_2',
    epoch: 1,
    live: false,
    until: 1000,
    endedAt: 5000,
  });
  t.match(again.reports(), [{ id: 's_2', reason: 'stale', endpoint: '192.0.2.1:5' }]);
  t.notMatch(
    readFileSync(join(directory, 'grants.json'), 'utf8'),
    'x2',
    'the seal of an ended session is forgotten',
  );
  const other = GrantStore.load(options(directory, { agentId: 'a_2' }));
  t.equal(other.liveCount, 0, 'a new enrolment starts anew');
  t.equal(other.seenAt, 6000, 'but time is time');
});

t.test('ends are for one grant only', async t => {
  const store = GrantStore.load(options(t.testdir()));
  store.put(grant(1));
  store.put(grant(1, { id: 's_new', epoch: 2 }));
  store.end(key(1), 's_1', 1);
  t.equal(store.liveCount, 1);
  store.end(key(1), 's_new', 1);
  store.end(key(1), 's_new', 2);
  t.equal(store.liveCount, 0);
  t.equal(store.of(key(1))!.endedAt, 1);
});

t.test('renewal', async t => {
  const store = GrantStore.load(options(t.testdir()));
  store.put(grant(1));
  t.equal(store.renew('s_1', 5000)!.until, 5000);
  t.equal(store.renew('s_1', 10)!.until, 5000, 'never shorter');
  t.equal(store.renew('s_9', 10), null);
  store.end(key(1), 's_1', 1);
  t.equal(store.renew('s_1', 9000), null);
});

t.test('reports are kept until noted, and bounded', async t => {
  const store = GrantStore.load(options(t.testdir()));
  for (let i = 0; i < 10_001; i++)
    store.report({ id: `s_${i}`, reason: 'idle', counters, sinceHandshakeMs: 0 });
  t.equal(store.reports().length, 10_000);
  t.equal(store.reports()[0]!.id, 's_1');
  store.noted('s_1');
  store.noted('s_1');
  t.equal(store.reports().length, 9999);
});

t.test('an epoch is remembered while an older grant could be valid', async t => {
  const store = GrantStore.load(options(t.testdir()));
  store.put(grant(1));
  store.end(key(1), 's_1', 1000);
  store.see(1000 + 3_600_000, 3_600_000);
  t.equal(store.held(key(1))?.epoch, 1);
  store.see(1000 + 3_600_000 + 60_001, 3_600_000);
  t.equal(store.held(key(1)), undefined);
});

t.test('writes are shared, and a failed one is tried again', async t => {
  const writes: { grants: unknown[] }[] = [];
  let fail = false;
  const store = GrantStore.load(
    options(t.testdir(), {
      write: async (_path, content) => {
        await new Promise(resolve => setImmediate(resolve));
        if (fail) throw new Error('disk full');
        writes.push(content as { grants: unknown[] });
      },
    }),
  );
  await store.flush();
  t.equal(writes.length, 0, 'nothing to write');
  store.put(grant(1));
  const first = store.flush();
  store.put(grant(2));
  const more = [store.flush(), store.flush(), store.flush()];
  await Promise.all([first, ...more]);
  t.strictSame(
    writes.map(write => write.grants.length),
    [1, 2],
  );
  fail = true;
  store.put(grant(3));
  await t.rejects(store.flush(), { message: 'disk full' });
  fail = false;
  await store.flush();
  t.equal(writes.at(-1)!.grants.length, 3);
});
