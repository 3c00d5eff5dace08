// Why a session ended: one closed list, used by the agent, Core, the client, the audit log and the metrics, and switched
// exhaustively (`x satisfies never` in the default branch). Adding a reason is a protocol change.

export const EndReason = {
  /** No completed handshake for longer than `stale`. */
  stale: 'stale',
  /** No packet with data from the peer for longer than `idle`. */
  idle: 'idle',
  /** The absolute end of the grant (`exp`) was reached. */
  expired: 'expired',
  /** No handshake at all within `claim` after the grant. */
  unclaimed: 'unclaimed',
  /** Core did not renew the lease in time and the offline grace is over. */
  lease: 'lease',
  revokedAdmin: 'revoked-admin',
  logoutUser: 'logout-user',
  /** A newer login of the same device at the same location. */
  superseded: 'superseded',
  /** User or device disabled, group or location changed, or a grant that Core took back before it was used. */
  policy: 'policy',
  /** The peer moved to another address where the location asks for a new login then. */
  roamed: 'roamed',
  agentStopped: 'agent-stopped',
} as const;

export type EndReason = (typeof EndReason)[keyof typeof EndReason];

export const endReasons: readonly EndReason[] = Object.values(EndReason);

export function isEndReason(value: unknown): value is EndReason {
  return (endReasons as readonly unknown[]).includes(value);
}

/** One sentence for the person whose session it was. */
export function describeEnd(reason: EndReason): string {
  switch (reason) {
    case 'stale':
      return 'the tunnel was silent for too long';
    case 'idle':
      return 'no traffic came from this device for too long';
    case 'expired':
      return 'the session reached its maximum life';
    case 'unclaimed':
      return 'the tunnel was not used in time after the login';
    case 'lease':
      return 'the gateway lost contact with Core for too long';
    case 'revoked-admin':
      return 'an administrator ended the session';
    case 'logout-user':
      return 'logged out';
    case 'superseded':
      return 'a newer login of this device replaced it';
    case 'policy':
      return 'the access rules changed';
    case 'roamed':
      return 'the device moved to another network and has to log in again';
    case 'agent-stopped':
      return 'the gateway was stopped';
    default:
      return reason satisfies never;
  }
}
