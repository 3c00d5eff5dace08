// Probes on this host, and on hosts that lack something.

import t from 'tap';
import { loadFfi } from '../../src/platform/ffi/load.ts';
import * as c from '../../src/platform/constants.ts';
import {
  probeClock,
  probeCrypto,
  probeFfi,
  probeForwarding,
  probeNetAdmin,
  probeTun,
  probeUdp,
} from '../../src/platform/doctor.ts';
import type { Libc } from '../../src/platform/libc.ts';
import { FaultyFfi } from '../fixtures/fakes/faultyffi.ts';
import { enterPrivateNetwork, libcOver, noNetwork } from '../fixtures/native.ts';
import { stablelibProvider } from '../../src/wireguard/primitives/stablelib.ts';
import type { CryptoProvider } from '../../src/wireguard/primitives/provider.ts';

const faulty = new FaultyFfi(await loadFfi());
const libc = libcOver(faulty);
/** A portable provider: what it is made of does not matter here. */
const portable =
  (libc: Libc): (() => CryptoProvider[]) =>
  () => [stablelibProvider(libc.arena)];
const isPrivate = enterPrivateNetwork(libc);

t.test('this host', async t => {
  t.match(probeFfi(libc), { name: 'ffi', ok: true, detail: /node:ffi, (32|64) bit/ });
  t.match(probeClock(libc), { ok: true, repair: '' });
  t.match(probeUdp(libc), { ok: true, detail: /IPv4/ });
  t.match(probeCrypto(libc, portable(libc)), { ok: true, detail: /openssl-\w+, \d\.\d\d us/ });
  t.equal(probeNetAdmin().ok, true);
  t.equal(probeForwarding().ok, true);
  if (!isPrivate) return void t.pass('a TUN', { skip: noNetwork });
  t.match(probeTun(libc), { name: 'tun', ok: true, detail: /offloads csum tso4/, repair: '' });
});

t.test('no TUN', async t => {
  t.match(probeTun(libc, '/nowhere/tun'), {
    ok: false,
    detail: /ENOENT/,
    repair: 'load the tun module, or pass the device to the container',
  });
  if (!isPrivate) return;
  faulty.fail('ioctl', call => (call > 2 ? c.EINVAL : 0));
  t.match(probeTun(libc), { ok: true, detail: /without offloads/, repair: /newer kernel/ });
  faulty.heal();
});

t.test('no sockets, no offloads, small buffers', async t => {
  faulty.fail('socket', () => c.EPERM);
  t.match(probeUdp(libc), { ok: false, detail: /EPERM/ });
  faulty.heal();
  faulty.fail('setsockopt', call => (call % 11 < 5 ? c.EPERM : 0));
  faulty.fail('getsockopt', () => c.ENOPROTOOPT);
  const { detail, repair } = probeUdp(libc);
  t.match(detail, /no GSO, no GRO/);
  t.match(repair, /rmem_max/);
  faulty.heal();
});

t.test('clocks that cannot be right', async t => {
  t.match(
    probeClock(libc, () => 0),
    { ok: false, detail: /1970-01-01T00:00:00Z/, repair: /NTP/ },
  );
  faulty.fail('clock_gettime', () => c.EINVAL);
  t.match(probeClock(libcOver(faulty)), { ok: false, detail: /does not advance/ });
  faulty.heal();
});

t.test('rights and forwarding', async t => {
  t.match(
    probeNetAdmin(() => 'CapEff:\t0000000000001000\n'),
    { detail: 'CAP_NET_ADMIN is held', repair: '' },
  );
  t.match(
    probeNetAdmin(() => 'CapEff:\t0000000000000000\n'),
    { ok: true, repair: /ip tuntap add/ },
  );
  t.match(
    probeNetAdmin(() => {
      throw new Error('no /proc');
    }),
    { detail: /unknown/ },
  );
  t.match(
    probeForwarding(path => (path.includes('ipv4') ? '1\n' : '0\n')),
    { detail: 'IPv4 on, IPv6 off', repair: '' },
  );
  t.match(
    probeForwarding(() => '0'),
    { repair: /ip_forward=1/ },
  );
});

t.test('a library that computes wrongly is reported, not used', async t => {
  const inner = await loadFfi();
  const broken = Object.assign(() => 0, { raw: () => inner.word(0) });
  const wrong = libcOver({
    ...inner,
    symbol: (name, parameters, result) =>
      name === 'ossl_x25519' ? broken : inner.symbol(name, parameters, result),
  });
  if (inner.symbol('ossl_x25519', 3) === null)
    return void t.pass('x', { skip: 'this Node hides ossl_x25519' });
  t.match(probeCrypto(wrong, portable(wrong)), {
    ok: false,
    detail: /^stablelib, .* per full packet; openssl-raw computes a wrong shared secret; openssl-evp/,
    repair: /report/,
  });
});

t.test('no libcrypto works, slowly', async t => {
  const inner = await loadFfi();
  const bare = libcOver({
    ...inner,
    library: () => null,
    symbol: (name, parameters, result) =>
      /EVP|25519/.test(name) ? null : inner.symbol(name, parameters, result),
  });
  t.match(probeCrypto(bare, portable(bare)), {
    ok: true,
    detail: /^stablelib, /,
    repair: /neither OpenSSL nor WebAssembly/,
  });
  t.match(
    probeCrypto(bare, () => []),
    { detail: 'none' },
  );
});
