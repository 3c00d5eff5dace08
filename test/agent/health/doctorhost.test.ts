import t from 'tap';
import { probeDigests, probeMtu, probeSimd } from '../../../src/agent/health/doctorhost.ts';

t.test('SIMD', async t => {
  t.match(probeSimd(), { ok: true, detail: 'WebAssembly with SIMD' });
  t.match(
    probeSimd(() => false),
    { ok: true, detail: /without SIMD.*scalar/ },
  );
});

t.test('digests', async t => {
  t.match(probeDigests(), { ok: true, repair: '' });
  t.match(probeDigests(['SHA256', 'sha512'], []), { ok: true, detail: /no BLAKE2s/ });
  t.match(probeDigests(['md5'], []), { ok: false, detail: 'sha256 and sha512 missing', repair: /build it/ });
});

const head = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n';
const machine =
  (files: Record<string, string>) =>
  (path: string): string => {
    if (files[path] === undefined) throw new Error('ENOENT');
    return files[path];
  };

t.test('MTU of the way out', async t => {
  const four = {
    '/proc/net/route': `${head}lan\t0000A8C0\t00000000\t1\t0\t0\t0\t00FFFFFF\t0\nwan\t00000000\t0101A8C0\t3\t0\t0\t0\t00000000\t0\n`,
  };
  t.match(probeMtu(machine({ ...four, '/sys/class/net/wan/mtu': '1500\n' })), {
    detail: 'wan carries 1500 bytes',
    repair: '',
  });
  t.match(probeMtu(machine({ ...four, '/sys/class/net/wan/mtu': '1492\n' })), { repair: /set mtu = 1412/ });
  t.match(probeMtu(machine(four)), { detail: /unknown number/, repair: '' });
  const zero = '0'.repeat(32);
  const six = { '/proc/net/ipv6_route': `${zero} 00 ${zero} 00 ${zero} 00000400 1 0 00000001 wan6\n` };
  t.match(probeMtu(machine({ ...six, '/sys/class/net/wan6/mtu': '1500' })), {
    detail: 'wan6 carries 1500 bytes',
  });
  t.match(probeMtu(machine({})), { detail: /no default route/ });
});
