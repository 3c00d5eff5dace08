// Becoming another user for good: groups, user, and a mark that nothing we start may gain rights again. For where no supervisor
// does it (netifd starts its programs as root). Before any file, socket or thread is opened.

import { errorText, usageError } from '../util/errors.ts';

/** The part of `process` that is used. */
export interface Rights {
  getuid?: () => number;
  initgroups?: (user: string | number, group: string | number) => void;
  setgid?: (id: string | number) => void;
  setuid?: (id: string | number) => void;
}

/** Does nothing when `user` is empty or the present user. */
export function becomeUser(user: string, group: string = user, rights: Rights = process): void {
  if (user === '') return;
  const wanted = /^[0-9]+$/.test(user) ? Number(user) : user;
  const wantedGroup = /^[0-9]+$/.test(group) ? Number(group) : group;
  if (rights.getuid?.() === wanted) return;
  try {
    rights.initgroups!(wanted, wantedGroup);
    rights.setgid!(wantedGroup);
    rights.setuid!(wanted);
  } catch (error) {
    throw usageError(
      'user',
      `user: cannot become ${user}: ${errorText(error)}; start as root, or leave user out`,
    );
  }
}

const PR_SET_NO_NEW_PRIVS = 38;

/** For this thread and those it starts. `symbol` is the FFI's way to a function of libc. */
export function renounceNewRights(
  symbol: (name: string, parameters: number) => ((...words: number[]) => number) | null,
): void {
  symbol('prctl', 5)?.(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
