// The numbers of the protocol. First what the whitepaper (§6.1) fixes, then what the Linux kernel chose where the paper
// leaves room (drivers/net/wireguard/messages.h), last what we chose ourselves. Times are milliseconds.

// Whitepaper §6.1.
/** The initiator of a session older than this starts a new handshake when it next sends (T3). */
export const rekeyAfterMs = 120_000;
/** A key older than this neither sends nor receives (T5). */
export const rejectAfterMs = 180_000;
/** Between two initiations to one peer (T6, T7). */
export const rekeyTimeoutMs = 5_000;
/** Received data is answered by something within this time (T10). */
export const keepaliveTimeoutMs = 10_000;

// The kernel's choices.
/** Added to the retry and new-handshake timers, uniformly (T6). */
export const jitterMs = 333;
/** 90 s of attempts over RekeyTimeout: the first initiation and this many plus one retries, then we give up (T8). */
export const maxTimerHandshakes = 18;
/** Two initiations of one peer are consumed at least this far apart (N3). */
export const initiationIntervalMs = 20;
/** Packets waiting per peer for a session; the oldest goes first (D3). */
export const maxStagedPackets = 128;
/** Everything secret is wiped this long after the last session was derived (T13). */
export const zeroAfterMs: number = 3 * rejectAfterMs;
/** A receiving initiator still starts a handshake this late, if it never sends (T4). */
export const rekeyOnReceiveAfterMs: number = rejectAfterMs - keepaliveTimeoutMs - rekeyTimeoutMs;
/** Cookies are demanded from this many waiting handshake messages on: an eighth of the kernel's queue (M7). */
export const pendingUnderLoad = 512;
/** And for this long after. */
export const loadHoldMs = 1_000;

// Our choices.
/**
 * Send counters are numbers, exact below 2^53, so both limits of the paper (2^60 and 2^64 − 2^13 − 1) come down: a key is
 * renewed at 2^52 and refused at 2^53 − 2^16. At a million packets a second that is 142 years.
 */
export const rekeyAfterMessages: number = 2 ** 52;
export const rejectAfterMessages: number = 2 ** 53 - 2 ** 16;
/** Handshake messages a second that pass mac1 before cookies are demanded, unless another budget is set (M12). */
export const defaultHandshakesPerSecond = 512;
/** The same where X25519 goes through the runtime's key objects, three times as slow, on what may be a router's only thread. */
export const portableHandshakesPerSecond = 50;
/** Repeated disagreement about the PSK, with no session alive, slows initiations down to one in this time (P6). */
export const maxMismatchHoldMs = 60_000;
/** A peer to be kept fresh: the responder of a session sends an initiation of its own at this age. */
export const refreshAsResponderMs = 150_000;
/** ... provided that it has been heard within this time: four lost keepalives of 25 s do not make a peer absent. */
export const heardWithinMs = 100_000;
/** ... and an initiator repeats its key confirmation at 1, 3, 7, 15 and 31 s until it hears the peer under the new key. */
export const firstConfirmMs = 1_000;
export const lastConfirmMs = 16_000;
/** `handshake-unconfirmed`: this many answered initiations within this time and none confirmed (whitepaper: nothing). */
export const unconfirmedCount = 3;
export const unconfirmedWithinMs = 20_000;
/** Timestamps of revoked peers kept against replay, oldest forgotten first. */
export const maxTombstones = 65_536;
export const defaultMaxPeers = 65_536;
export const defaultMaxStagedBytes: number = 16 << 20;
export const defaultMtu = 1420;
