import t from 'tap';
import { Vault } from '../../../src/core/store/vault.ts';
import { equalBytes } from '../../../src/util/bytes.ts';

const secret = Uint8Array.from({ length: 20 }, (_, i) => i);

t.test('opens in its place and nowhere else', async t => {
  const vault = new Vault(new Uint8Array(32).fill(1));
  const sealed = vault.seal('totp/u_1', secret);
  t.ok(equalBytes(vault.open('totp/u_1', sealed), secret));
  t.not(vault.seal('totp/u_1', secret), sealed);
  const wrong = { code: 'wrong-store-key' };
  t.throws(() => vault.open('totp/u_2', sealed), wrong);
  t.throws(() => new Vault(new Uint8Array(32)).open('totp/u_1', sealed), wrong);
  t.throws(() => vault.open('totp/u_1', 'AAAA'), wrong);
  t.throws(() => vault.open('totp/u_1', sealed.replace(/^..../, 'AAAA')), wrong);
  t.throws(() => new Vault(new Uint8Array(16)), /32 bytes/);
});
