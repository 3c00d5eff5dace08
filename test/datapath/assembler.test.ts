import t from 'tap';
import { checksumModule } from '../../src/datapath/checksum.ts';
import { assemble, i32, put, repeatWhile, take, when } from '../../src/datapath/assembler.ts';
import { i32type } from '../../src/datapath/assembler.ts';

t.test('assembles a loop, a branch and long constants', t => {
  // triangle(n) = n + … + 1, and -100000 for zero
  const code = assemble(
    [
      {
        name: 'triangle',
        parameters: 1,
        locals: [i32type],
        body: [
          when(
            [take(0)],
            repeatWhile(
              [take(0)],
              [take(1), take(0), i32.add, put(1)],
              [take(0), i32.const(1), i32.sub, put(0)],
            ),
            [i32.const(-100000), put(1)],
          ),
          take(1),
        ],
      },
    ],
    false,
  );
  t.ok(WebAssembly.validate(code));
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  const triangle = exports['triangle'] as (n: number) => number;
  t.equal(triangle(100), 5050);
  t.equal(triangle(0), -100000);
  t.end();
});

t.test('every instruction the checksum kernels use, for both kinds of memory', t => {
  for (const kind of ['simd', 'wasm'] as const)
    for (const shared of [false, true])
      t.ok(WebAssembly.validate(checksumModule(kind, shared)), `${kind} ${shared}`);
  t.end();
});
