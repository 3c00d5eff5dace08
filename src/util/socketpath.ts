// The path of a unix socket must fit sockaddr_un (unix(7): 108 bytes, usually with a final zero). The kernel refuses a longer one
// with EINVAL, which does not name the cause; this check does.

import { utf8 } from './bytes.ts';
import { usageError } from './errors.ts';

export const maxSocketPathBytes = 107;

/**
 * Gives the path back, or throws `socket-path` when no unix socket can have it. `setting` is what a person changes to get
 * a shorter one.
 */
export function checkSocketPath(path: string, setting: string): string {
  const length = utf8(path).length;
  if (length <= maxSocketPathBytes) return path;
  throw usageError(
    'socket-path',
    `${path}: ${length} bytes are too many for a socket (at most ${maxSocketPathBytes}): choose a shorter ${setting}`,
  );
}
