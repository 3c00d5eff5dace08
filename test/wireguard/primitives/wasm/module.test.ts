import t from 'tap';
import { buildModule, hasSimd } from '../../../../src/wireguard/primitives/wasm/module.ts';

t.test('the engine of the tests has SIMD', async t => {
  t.equal(hasSimd(), true);
});

t.test('the plain module has no vector instruction, and both are small', async t => {
  // 0xfd begins every vector instruction; constants of the plain module happen to contain none.
  t.notOk(buildModule(0, false, true).includes(0xfd));
  t.ok(buildModule(1 << 20, true, true).length < 12 * 1024);
  t.ok(buildModule(1 << 20, false, true).length < 4 * 1024);
});
