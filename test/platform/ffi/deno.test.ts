// The Deno back end needs Deno; here a stand-in with the same shape, over node:ffi (test/runtime runs the real one).

import t from 'tap';
import { openDenoFfi } from '../../../src/platform/ffi/deno.ts';
import { openNodeFfi } from '../../../src/platform/ffi/node.ts';
import { ffiSuite } from '../../fixtures/ffisuite.ts';
import { fakeDeno } from '../../fixtures/fakes/fakedeno.ts';

t.test('outside Deno', async t => {
  t.throws(() => openDenoFfi(), /not running under Deno/);
});

t.test('the common suite over a stand-in', async t => {
  const scope = globalThis as { Deno?: unknown };
  scope.Deno = fakeDeno(openNodeFfi());
  try {
    ffiSuite(t, openDenoFfi());
  } finally {
    delete scope.Deno;
  }
});
