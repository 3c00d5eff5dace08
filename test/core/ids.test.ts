import t from 'tap';
import { enrolToken, joinToken, sessionToken } from '../../src/control/clientapi/words.ts';
import { check, id } from '../../src/control/validate.ts';
import { hashToken, newId, newToken } from '../../src/core/ids.ts';
import { seeded } from '../fixtures/rng.ts';

t.test('ids and tokens have the form the shapes want', async t => {
  const rng = seeded(5);
  const random = (bytes: number): Uint8Array => rng.bytes(bytes);
  const made = new Set<string>();
  for (let i = 0; i < 500; i++) {
    made.add(newId('s', random));
    t.ok(check(joinToken, newToken('spj', random)).ok) || t.bailout();
  }
  t.equal(made.size, 500);
  t.ok(check(id, newId('loc', random)).ok);
  t.ok(check(enrolToken, newToken('spe', random)).ok);
  t.ok(check(sessionToken, newToken('sps', random)).ok);
  t.match(hashToken('spj_x'), /^[A-Za-z0-9_-]{43}$/);
});
