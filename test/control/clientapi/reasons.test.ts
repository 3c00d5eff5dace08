import t from 'tap';
import { describeEnd, EndReason, endReasons, isEndReason } from '../../../src/control/clientapi/reasons.ts';

t.test('every reason has one sentence of its own', async t => {
  t.equal(endReasons.length, 11);
  t.equal(new Set(endReasons.map(describeEnd)).size, endReasons.length);
  t.equal(EndReason.revokedAdmin, 'revoked-admin');
});

t.test('only the listed words are reasons', async t => {
  for (const reason of endReasons) t.ok(isEndReason(reason));
  for (const other of ['', 'Stale', 'constructor', null, 3]) t.notOk(isEndReason(other));
});
