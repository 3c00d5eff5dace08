import t from 'tap';
import { base32, matchTotp, otpauthUri, totpCode, totpStep } from '../../../src/core/methods/totp.ts';

const seed = new TextEncoder().encode('12345678901234567890');

t.test('RFC 6238, appendix B (SHA-1; the last six of the eight digits)', async t => {
  const table: readonly (readonly [number, string])[] = [
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ];
  for (const [second, digits] of table) t.equal(totpCode(seed, totpStep(second * 1000)), digits.slice(2));
});

t.test('one step to either side, and never a used one', async t => {
  const now = 1_700_000_000_000;
  const step = totpStep(now);
  for (const offset of [-1, 0, 1])
    t.equal(matchTotp(seed, totpCode(seed, step + offset), now, 0), step + offset);
  for (const offset of [-2, 2]) t.equal(matchTotp(seed, totpCode(seed, step + offset), now, 0), null);
  t.equal(matchTotp(seed, totpCode(seed, step), now, step), null, 'used');
  t.equal(matchTotp(seed, totpCode(seed, step - 1), now, step), null, 'older than a used one');
  t.equal(matchTotp(seed, totpCode(seed, step).replace(/^.../, '$& '), now, 0), step, 'as apps show it');
  for (const bad of ['', '12345', '1234567', 'abcdef', '１２３４５６', '-12345'])
    t.equal(matchTotp(seed, bad, now, 0), null);
});

t.test('what an authenticator app scans', async t => {
  t.equal(base32(new TextEncoder().encode('foobar')), 'MZXW6YTBOI', 'RFC 4648, section 10');
  t.equal(
    otpauthUri('ada b', 'Sallyport', seed),
    'otpauth://totp/Sallyport:ada%20b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Sallyport&algorithm=SHA1&digits=6&period=30',
  );
});
