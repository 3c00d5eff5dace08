// koffi: the same suite, from the npm package and from a lone koffi.node.

import t from 'tap';
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ffiSuite } from '../../fixtures/ffisuite.ts';
import { openKoffi } from '../../../src/platform/ffi/koffi.ts';

t.test('the npm package', async t => ffiSuite(t, await openKoffi()));

t.test('a lone koffi.node', async t => {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve(`@koromix/koffi-linux-${process.arch}`));
  const file = join(folder, `linux_${process.arch}/koffi.node`);
  if (!existsSync(file)) return void t.pass('no koffi.node for this machine', { skip: file });
  process.env['SALLYPORT_KOFFI'] = file;
  ffiSuite(t, await openKoffi());
  process.env['SALLYPORT_KOFFI'] = '/nowhere/koffi.node';
  const again = await openKoffi();
  t.equal(again.name, 'koffi', 'a wrong path falls back to the package');
  delete process.env['SALLYPORT_KOFFI'];
});
