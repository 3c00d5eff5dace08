import t from 'tap';
import { generateSignKeyPair } from '../../../src/control/trust/keys.ts';
import { Audit, verifyCheckpoint } from '../../../src/core/store/audit.ts';
import { Database } from '../../../src/core/store/database.ts';

function log(records: number): { db: Database; audit: Audit } {
  const db = new Database(':memory:');
  const audit = new Audit(db);
  for (let i = 1; i <= records; i++)
    audit.append(1000 + i, { what: 'user.added', who: 'admin', reason: `u${i}` });
  return { db, audit };
}

t.test('an honest log verifies', async t => {
  t.match(log(0).audit.verify(), { ok: true, records: 0 });
  const { audit } = log(1500);
  t.match(audit.verify(), { ok: true, records: 1500 });
  t.same(
    audit.entries(2).map(entry => [entry.seq, entry.record.reason]),
    [
      [1499, 'u1499'],
      [1500, 'u1500'],
    ],
  );
});

t.test('changed, removed, inserted, re-dated', async t => {
  const changes: readonly (readonly [string, number, RegExp])[] = [
    [`UPDATE audit SET record = '{"what":"x","who":"y"}' WHERE seq = 3`, 3, /changed/],
    ['UPDATE audit SET at = 7 WHERE seq = 2', 2, /changed/],
    ['DELETE FROM audit WHERE seq = 4', 4, /missing/],
    ['DELETE FROM audit WHERE seq = 1', 1, /missing/],
  ];
  for (const [sql, seq, problem] of changes) {
    const { db, audit } = log(5);
    db.run(sql);
    t.match(audit.verify(), { ok: false, seq, problem });
  }
});

t.test('a checkpoint shows what the chain alone cannot', async t => {
  const key = generateSignKeyPair();
  const { db, audit } = log(5);
  const checkpoint = audit.checkpoint(9999, key.privateKey);
  t.ok(verifyCheckpoint(key.publicKey, checkpoint));
  t.notOk(verifyCheckpoint(key.publicKey, { ...checkpoint, seq: 4 }));
  t.match(audit.verify(checkpoint), { ok: true });
  db.run('DELETE FROM audit WHERE seq = 5');
  t.match(audit.verify(), { ok: true, records: 4 }, 'cut at the end: intact by itself');
  t.match(audit.verify(checkpoint), { ok: false, seq: 5, problem: /cut/ });
  audit.append(1, { what: 'forged', who: 'x' });
  t.match(audit.verify(checkpoint), { ok: false, seq: 5, problem: /rewritten/ });
});
