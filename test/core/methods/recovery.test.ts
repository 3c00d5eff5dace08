import t from 'tap';
import { hashRecoveryCode, newRecoveryCodes } from '../../../src/core/methods/recovery.ts';
import { seeded } from '../../fixtures/rng.ts';

t.test('ten codes of sixty bits, forgiving to type', async t => {
  const rng = seeded(9);
  const codes = newRecoveryCodes(bytes => rng.bytes(bytes));
  t.equal(new Set(codes).size, 10);
  for (const code of codes) {
    t.match(code, /^[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}$/);
    const hash = hashRecoveryCode('u', code);
    t.ok(hash);
    t.equal(hashRecoveryCode('u', code.toUpperCase().replaceAll('-', ' ')), hash);
    t.equal(hashRecoveryCode('u', code.replaceAll('1', 'l').replaceAll('0', 'O')), hash);
    t.not(hashRecoveryCode('v', code), hash, 'bound to its user');
  }
  for (const bad of ['', 'abcd-efgh', 'u'.repeat(12), `${codes[0]}x`])
    t.equal(hashRecoveryCode('u', bad), null);
});
