import t from 'tap';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
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

t.test('writes are shared, and after a failed one the whole file is written', async t => {
  const writes: { grants: unknown[] }[] = [];
  const lines: string[] = [];
  let fail = false;
  const slow = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
  const store = GrantStore.load(
    options(t.testdir(), {
      write: async (_path, content) => {
        await slow();
        if (fail) throw new Error('disk full');
        writes.push(content as { grants: unknown[] });
      },
      append: async (_path, line) => {
        await slow();
        if (fail) throw new Error('disk full');
        lines.push(line);
      },
    }),
  );
  await store.flush();
  t.equal(writes.length, 0, 'nothing to write');
  store.put(grant(1));
  const first = store.flush();
  store.put(grant(2));
  store.put(grant(3));
  await Promise.all([first, store.flush(), store.flush(), store.flush()]);
  t.strictSame([writes.length, lines.length], [1, 1], 'what arrives during one write shares the next');
  t.match(lines[0], /s_2.*s_3/);
  fail = true;
  store.put(grant(4));
  await t.rejects(store.flush(), { message: 'disk full' });
  await t.rejects(store.flush(), { message: 'disk full' }, 'still full');
  fail = false;
  await store.flush();
  t.strictSame([writes.at(-1)!.grants.length, lines.length], [4, 1]);
});

async function journaled(directory: string): Promise<string> {
  const store = GrantStore.load(options(directory));
  store.put(grant(1));
  await store.flush();
  store.put(grant(2));
  await store.flush();
  store.end(key(1), 's_1', 10);
  await store.flush();
  store.put(grant(3));
  await store.flush();
  return join(directory, 'grants.json.journal');
}

const liveAfter = (directory: string): string[] =>
  GrantStore.load(options(directory, { warn: () => {} }))
    .live()
    .map(({ id }) => id);

t.test('a journal torn at any byte keeps what was written before', async t => {
  const directory = t.testdir();
  const path = await journaled(directory);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(liveAfter(directory), ['s_2', 's_3']);
  const whole = readFileSync(path);
  const ends = [...whole.keys()].filter(at => whole[at] === 10);
  const expected = [['s_1'], ['s_1', 's_2'], ['s_2'], ['s_2', 's_3']];
  for (let length = 0; length <= whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const kept = ends.filter(at => length >= at).length;
    t.strictSame(liveAfter(directory), expected[kept], `${length} bytes`);
  }
});

t.test('a damaged line before a good one bars all that it may have ended', async t => {
  const directory = t.testdir();
  const path = await journaled(directory);
  const whole = readFileSync(path);
  const second = whole.indexOf(10) + 1;
  for (const at of [second, second + 20, whole.indexOf(10, second) - 1]) {
    const bad = Buffer.from(whole);
    bad[at]! ^= 1;
    writeFileSync(path, bad);
    const said: string[] = [];
    const store = GrantStore.load(options(directory, { warn: line => said.push(line) }));
    t.strictSame(
      store.live().map(({ id }) => id),
      ['s_3'],
    );
    t.equal(store.held(key(2))!.epoch, 1, 'its epoch stays barred');
    t.match(said, [/is damaged/]);
  }
});

t.test('a journal older than the file is not played over it', async t => {
  const directory = t.testdir();
  const path = await journaled(directory);
  const old = readFileSync(path);
  const store = GrantStore.load(options(directory));
  store.end(key(2), 's_2', 20);
  await store.flush();
  writeFileSync(path, old);
  appendFileSync(path, 'rubbish\n');
  t.strictSame(liveAfter(directory), ['s_3']);
});

t.test('renewals write nothing, and a long journal is folded', async t => {
  const lines: string[] = [];
  let wholes = 0;
  const store = GrantStore.load(
    options(t.testdir(), {
      write: async () => void wholes++,
      append: async (_path, line) => void lines.push(line),
    }),
  );
  store.put(grant(1));
  await store.flush();
  store.renew('s_1', 9000);
  await store.flush();
  t.strictSame([wholes, lines.length], [1, 0]);
  for (let epoch = 1; epoch < 200; epoch++) {
    store.put(grant(2, { epoch, grant: 'x'.repeat(16_000) }));
    await store.flush();
  }
  t.ok(wholes >= 3 && wholes <= 5, `${wholes} whole files for 3 MB of changes`);
});

t.test('the seal of an ended session leaves the disk within an hour', async t => {
  const directory = t.testdir();
  const store = GrantStore.load(options(directory));
  store.see(100_000, 1e9);
  await store.flush();
  store.put(grant(2));
  await store.flush();
  store.end(key(2), 's_2', 100_000);
  await store.flush();
  store.see(100_000 + 3_600_001, 1e9);
  await store.flush();
  store.put(grant(3));
  await store.flush();
  for (const name of ['grants.json', 'grants.json.journal'])
    t.notMatch(readFileSync(join(directory, name), 'utf8'), 'x2', name);
});
