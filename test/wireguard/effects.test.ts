import t from 'tap';
import { verdicts } from '../../src/wireguard/effects.ts';

t.test('verdicts are counter indices: distinct, and fit to be labels', async t => {
  t.equal(new Set(verdicts).size, verdicts.length);
  t.ok(verdicts.every(verdict => /^[a-z0-9-]+$/.test(verdict)));
  t.equal(verdicts[0], 'ok');
});
