// node:ffi: words, results, and silence about being experimental.

import t from 'tap';
import { ffiSuite } from '../../fixtures/ffisuite.ts';
import { openNodeFfi, wordOf } from '../../../src/platform/ffi/node.ts';

t.test('the common suite', async t => {
  const warnings: string[] = [];
  process.on('warning', warning => warnings.push(warning.message));
  ffiSuite(t, openNodeFfi());
  await new Promise(resolve => setImmediate(resolve));
  t.strictSame(warnings, []);
  process.emitWarning('kept');
  await new Promise(resolve => setImmediate(resolve));
  t.strictSame(warnings, ['kept']);
});

t.test('negative words are sign-extended to the register', async t => {
  t.equal(wordOf(-1, 64), 0xffff_ffff_ffff_ffffn);
  t.equal(wordOf(-1, 32), 0xffff_ffffn);
  t.equal(wordOf(2 ** 47, 64), 1n << 47n);
});
