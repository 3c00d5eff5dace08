// Whether a live session may still go on: its user, its device and its location allow it now.

import { mayUse } from '../policy/policy.ts';
import type { Session } from '../store/sessions.ts';
import type { Store } from '../store/store.ts';

export function isPermitted(store: Store, session: Session): boolean {
  const user = store.people.user(session.user);
  const device = store.people.device(session.device);
  const location = store.places.location(session.location);
  if (user === undefined || device === undefined || location === undefined) return false;
  return (
    !user.disabled && !device.disabled && device.user === user.id && mayUse(location.settings, user.groups)
  );
}
