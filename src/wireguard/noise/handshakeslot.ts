// What one peer's handshake keeps between its messages (whitepaper §5.4; the kernel's struct noise_handshake).

import { wipe } from '../../util/bytes.ts';
import { hash } from '../primitives/crypto.ts';
import { timestampBytes } from './tai64n.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, c => c.charCodeAt(0));
const bytes32 = (): Uint8Array => new Uint8Array(32);

const chainingKey = bytes32();
const initialHash = bytes32();
let isComputed = false;

/** ck = HASH(construction), h = HASH(ck ‖ identifier): the same for all peers (H1), computed at first use. */
export function initial(): { readonly chainingKey: Uint8Array; readonly hash: Uint8Array } {
  if (!isComputed) {
    hash(chainingKey, ascii('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
    hash(initialHash, chainingKey, ascii('WireGuard v1 zx2c4 Jason@zx2c4.com'));
    isComputed = true;
  }
  return initialState;
}

const initialState = { chainingKey, hash: initialHash };

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
    hash(this.responderHash, initial().hash, remoteStatic);
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
