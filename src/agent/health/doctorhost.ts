// More probes for `doctor`, of what the runtime and the network offer: SIMD in WebAssembly, digests and curves, the MTU of the way
// out. Each is given what it looks at, so that a test can be any machine.

import { hasWebAssembly } from '../../util/memory.ts';
import { getCurves, getHashes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Finding } from '../../platform/doctor.ts';

type Read = (path: string) => string;
const readText: Read = path => readFileSync(path, 'utf8');

/** The smallest module that holds a v128: valid where SIMD is. */
const simdModule = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic, version
  ...[1, 5, 1, 0x60, 0, 1, 0x7b], // type: () -> v128
  ...[3, 2, 1, 0], // one function of it
  ...[10, 10, 1, 8, 0, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x62, 0x0b], // i32.const 0; i8x16.splat; i8x16.popcnt
);

export function probeSimd(validate: (bytes: Uint8Array) => boolean = bytes => hasSimd(bytes)): Finding {
  const has = validate(simdModule);
  const lacks = hasWebAssembly
    ? 'WebAssembly without SIMD (no NEON?): scalar code is used'
    : 'no WebAssembly: checksums are made in JavaScript';
  return { name: 'simd', ok: true, detail: has ? 'WebAssembly with SIMD' : lacks, repair: '' };
}

function hasSimd(bytes: Uint8Array): boolean {
  return hasWebAssembly && WebAssembly.validate(bytes);
}

/** BLAKE2s is our own, for OpenWrt's OpenSSL lacks it; what we do ask of node:crypto is here. */
export function probeDigests(
  hashes: readonly string[] = getHashes(),
  curves: readonly string[] = getCurves(),
): Finding {
  const lacks = ['sha256', 'sha512'].filter(
    name => !hashes.some(hash => hash.toLowerCase().replace('-', '') === name),
  );
  const blake = hashes.includes('blake2s256') ? 'BLAKE2s (unused)' : 'no BLAKE2s (not needed)';
  return {
    name: 'digests',
    ok: lacks.length === 0,
    detail:
      lacks.length === 0 ? `SHA-2, ${blake}, ${curves.length} curves` : `${lacks.join(' and ')} missing`,
    repair: lacks.length === 0 ? '' : 'this OpenSSL is cut down too far: build it with SHA-2',
  };
}

/** Outer IPv6 and UDP and WireGuard take 80 bytes of each packet. */
const overhead = 80;
const commonInner = 1420;

/** The device of the default route, and whether our usual inner MTU fits through it. */
export function probeMtu(read: Read = readText): Finding {
  const device = defaultDevice(read);
  if (device === null)
    return { name: 'mtu', ok: true, detail: 'no default route: nothing to look at', repair: '' };
  const mtu = Number(attempt(read, `/sys/class/net/${device}/mtu`));
  const fits = mtu - overhead;
  const isSmall = mtu > 0 && fits < commonInner;
  return {
    name: 'mtu',
    ok: true,
    detail: `${device} carries ${mtu || 'an unknown number of'} bytes`,
    repair: isSmall ? `packets of ${commonInner} would be cut in pieces: set mtu = ${fits}` : '',
  };
}

function defaultDevice(read: Read): string | null {
  for (const line of attempt(read, '/proc/net/route').split('\n').slice(1)) {
    const [device, destination, , , , , , mask] = line.split('\t');
    if (destination === '00000000' && mask === '00000000') return device!;
  }
  for (const line of attempt(read, '/proc/net/ipv6_route').split('\n')) {
    const [destination, prefix, ...rest] = line.trim().split(/\s+/);
    const device = rest.at(-1);
    if (/^0{32}$/.test(destination ?? '') && prefix === '00' && device !== undefined && device !== 'lo')
      return device;
  }
  return null;
}

function attempt(read: Read, path: string): string {
  try {
    return read(path).trimEnd();
  } catch {
    return '';
  }
}
