// The record of a session: as it stands before an agent has acknowledged its grant, and what a client is told of it.

import type { SessionInfo } from '../../control/clientapi/bodies.ts';
import type { Policy } from '../policy/policy.ts';
import type { Session } from '../store/sessions.ts';
import type { Minted, MintOrder } from './mint.ts';

export function pendingSession(
  { id, epoch, login, location, now }: MintOrder,
  minted: Minted,
  policy: Policy,
  tokenHash: Session['tokenHash'],
): Session {
  return {
    id,
    location: location.id,
    device: login.device,
    deviceKey: login.deviceKey,
    user: login.user,
    epoch,
    status: 'pending',
    methods: login.done,
    tokenHash,
    policy,
    createdAt: now,
    confirmedAt: null,
    expiresAt: minted.expiresAt,
    leaseUntil: minted.leaseUntil,
    endedAt: null,
    reason: null,
    rx: 0,
    tx: 0,
    handshakes: 0,
  };
}

export function infoOf(session: Session, now: number): SessionInfo {
  return {
    id: session.id,
    location: session.location,
    expiresAt: session.expiresAt,
    now,
    stale: session.policy.staleAfter,
    idle: session.policy.idleAfter,
    claim: session.policy.claimWithin,
  };
}
