import t from 'tap';
import { backoffMs } from '../../../src/control/wire/backoff.ts';
import { seeded } from '../../fixtures/rng.ts';

t.test('the back-off is jittered and bounded', async t => {
  const { below } = seeded(7);
  const random = (): number => below(1000) / 1000;
  for (let attempt = 0; attempt < 40; attempt++) {
    const wait = backoffMs(attempt, random);
    const ceiling = Math.min(30_000, 500 * 2 ** attempt);
    t.ok(wait >= ceiling / 4 && wait <= ceiling);
  }
});
