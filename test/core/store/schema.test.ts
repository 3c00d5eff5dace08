import t from 'tap';
import { migrations } from '../../../src/core/store/schema.ts';

t.test('migrations are SQL, each ending in a statement', async t => {
  t.ok(migrations.length >= 1);
  for (const sql of migrations) t.match(sql.trim(), /;$/);
});
