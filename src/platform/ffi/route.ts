// Route: how this process reaches the TUN device: by FFI, or by a descriptor that a launcher opened and passed on, which needs
// none (inherited.ts). FFI comes first where there is any, for it is several times faster.

import { errorText, usageError, PlainError } from '../../util/errors.ts';
import { type Ffi, type FfiName, ffiNames } from './ffi.ts';
import { loadFfi } from './load.ts';

export type RouteName = FfiName | 'inherited-fd';
export const routeNames: readonly RouteName[] = [...ffiNames, 'inherited-fd'];

/** The FFI, or null for the inherited descriptor `tunFd`. */
export async function findRoute(
  wanted: RouteName | 'auto' = 'auto',
  tunFd?: number,
  load: (wanted: FfiName | 'auto') => Promise<Ffi> = loadFfi,
): Promise<Ffi | null> {
  if (wanted === 'inherited-fd') {
    if (tunFd !== undefined) return null;
    throw usageError(
      'no-tun-fd',
      "ffi 'inherited-fd': WG_TUN_FD is not set: start through firmware/launcher, or choose 'auto'",
    );
  }
  try {
    return await load(wanted);
  } catch (error) {
    if (wanted !== 'auto') throw error;
    if (tunFd !== undefined) return null;
    throw new PlainError('no-ffi', `${errorText(error)}, or pass a TUN in WG_TUN_FD (firmware/launcher)`);
  }
}

/** The TUN that a launcher passed on, and the process it signals (firmware/launcher). */
export function inheritedTun(environment: Readonly<Record<string, string | undefined>>): {
  tunFd?: number;
  tunOwner?: number;
} {
  const tunFd = inheritedFd(environment, 'WG_TUN_FD');
  const owner = Number(environment['WG_TUN_PID']);
  return { ...(tunFd !== null && { tunFd }), ...(owner > 0 && { tunOwner: owner }) };
}

/** The number of a descriptor that a launcher opened, or null. */
export function inheritedFd(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
): number | null {
  const text = environment[name];
  if (text === undefined || text === '') return null;
  if (!/^[0-9]{1,9}$/.test(text)) {
    throw usageError('fd', `${name}='${text}': expected the number of an open file descriptor`);
  }
  return Number(text);
}
