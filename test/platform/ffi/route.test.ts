import t from 'tap';
import { PlainError } from '../../../src/util/errors.ts';
import { findRoute, inheritedFd, inheritedTun, routeNames } from '../../../src/platform/ffi/route.ts';
import type { Ffi } from '../../../src/platform/ffi/ffi.ts';

const some = { name: 'koffi' } as Ffi;
const works = async (): Promise<Ffi> => some;
const fails = async (): Promise<Ffi> => {
  throw new PlainError('no-ffi', 'no way to call libc');
};

t.test('FFI first, then the descriptor, then a line', async t => {
  t.equal(await findRoute('auto', 3, works), some);
  t.equal(await findRoute('auto', undefined, works), some);
  t.equal(await findRoute('auto', 3, fails), null);
  await t.rejects(findRoute('auto', undefined, fails), {
    code: 'no-ffi',
    exit: 1,
    message: /^no way to call libc, or pass a TUN in WG_TUN_FD/,
  });
});

t.test('forced', async t => {
  t.equal(await findRoute('inherited-fd', 3, works), null);
  await t.rejects(findRoute('inherited-fd', undefined, works), { code: 'no-tun-fd', exit: 2 });
  await t.rejects(findRoute('koffi', 3, fails), { code: 'no-ffi' }, 'no other route instead');
  t.equal((await findRoute('koffi'))?.name, 'koffi');
  t.equal(routeNames.at(-1), 'inherited-fd');
});

t.test('what a launcher leaves in the environment', async t => {
  t.strictSame(inheritedTun({}), {});
  t.strictSame(inheritedTun({ WG_TUN_FD: '3' }), { tunFd: 3 });
  t.strictSame(inheritedTun({ WG_TUN_FD: '0', WG_TUN_PID: '42' }), { tunFd: 0, tunOwner: 42 });
  t.strictSame(inheritedTun({ WG_TUN_FD: '3', WG_TUN_PID: 'me' }), { tunFd: 3 });
  t.throws(() => inheritedTun({ WG_TUN_FD: 'x' }), {
    exit: 2,
    message: /WG_TUN_FD='x': expected the number/,
  });
  t.equal(inheritedFd({ WG_UAPI_FD: '' }, 'WG_UAPI_FD'), null);
});
