import t from 'tap';
import { nouns } from '../../../src/core/admin/admin.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

t.test('unknown verbs name the known ones', async t => {
  const desk = new Desk();
  for (const noun of nouns)
    t.throws(() => desk.admin(noun, 'dance'), { code: 'unknown-verb', exit: 2, message: /known are [a-z]+/ });
  t.throws(() => desk.admin('user'), { code: 'unknown-verb' });
  for (const odd of ['constructor', 'toString', ''])
    t.throws(() => desk.admin(odd, 'add'), { code: 'unknown-verb' });
});
