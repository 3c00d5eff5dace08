// What one peer's handshake keeps between its messages (whitepaper §5.4; the kernel's struct noise_handshake).

import { wipe } from '../../util/bytes.ts';
import { hash } from '../primitives/crypto.ts';
import { timestampBytes } from './tai64n.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, c => c.charCodeAt(0));
const bytes32 = (): Uint8Array => new Uint8Array(32);

// ck = HASH(construction), h = HASH(ck ‖ identifier): the same for everyone, computed once (H1).
export const initialChainingKey: Uint8Array = bytes32();
export const initialHash: Uint8Array = bytes32();
hash(initialChainingKey, ascii('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
hash(initialHash, initialChainingKey, ascii('WireGuard v1 zx2c4 Jason@zx2c4.com'));

export type HandshakeState =
  'zeroed' | 'created-initiation' | 'consumed-initiation' | 'created-response' | 'consumed-response';

/** A peer's one handshake slot (H15), and what outlives a handshake: keys, precomputation, anti-replay. */
export class Handshake<P> {
  readonly peer: P;
  state: HandshakeState = 'zeroed';
  localIndex = 0;
  remoteIndex = 0;
  readonly ephemeralPrivate: Uint8Array = bytes32();
  readonly remoteEphemeral: Uint8Array = bytes32();
  readonly chainingKey: Uint8Array = bytes32();
  readonly hash: Uint8Array = bytes32();

  readonly remoteStatic: Uint8Array;
  /** HASH(h ‖ S_resp) of handshakes we start. */
  readonly responderHash: Uint8Array = bytes32();
  readonly presharedKey: Uint8Array = bytes32();
  /** DH(S_us, S_peer); unusable when we have no identity or the peer's key is of low order (H4, H8). */
  readonly staticStatic: Uint8Array = bytes32();
  hasStaticStatic = false;
  readonly latestTimestamp: Uint8Array = new Uint8Array(timestampBytes);
  lastConsumedAt: number = -Infinity;

  constructor(peer: P, remoteStatic: Uint8Array) {
    this.peer = peer;
    this.remoteStatic = remoteStatic;
    hash(this.responderHash, initialHash, remoteStatic);
  }

  /** Wipes what belongs to one handshake (H11). */
  clear(): void {
    wipe(this.ephemeralPrivate, this.remoteEphemeral, this.chainingKey, this.hash);
    this.localIndex = this.remoteIndex = 0;
    this.state = 'zeroed';
  }
}

/** What a handshake needs of a peer. */
export interface HandshakeOwner<P> {
  readonly handshake: Handshake<P>;
}
