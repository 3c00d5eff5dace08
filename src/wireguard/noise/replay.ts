// Replay window of one receiving key: RFC 6479's ring of words, sized and bounded as in the kernel's counter_validate
// (R2, T2). Counters are 64 bits in two unsigned halves; no BigInt and no allocation, for this runs once per
// packet, always after authentication (R1).

const ringBits = 8192;
const wordBits = 32;
const ringWords = ringBits / wordBits;

/** How far behind the newest counter a packet may come: 8192 − 64, the kernel's on 64 bits and wireguard-go's. */
export const windowBits: number = ringBits - 64;

/** RejectAfterMessages = 2^64 − 1 − windowBits − 1, low half; its high half is all ones. */
export const rejectLow: number = 0xffffffff - windowBits - 1;

export class ReplayWindow {
  // The newest accepted counter plus one, so that zero means "nothing yet".
  #high = 0;
  #low = 0;
  readonly #ring: Uint32Array = new Uint32Array(ringWords);

  reset(): void {
    this.#high = this.#low = 0;
    this.#ring.fill(0);
  }

  /** True exactly once per counter that is inside the window or ahead of it. */
  accept(low: number, high: number): boolean {
    if (high === 0xffffffff && low >= rejectLow) return false;
    low = (low + 1) >>> 0;
    if (low === 0) high++;
    const ring = this.#ring;

    // The doubles below are exact where it matters: differences under 2^53, and anything above is only "far".
    const carry = high - this.#high;
    const ahead = carry * 0x1_0000_0000 + (low - this.#low);
    if (ahead > 0) {
      const from = this.#low >>> 5;
      const steps = Math.min(carry * 0x800_0000 + ((low >>> 5) - from), ringWords);
      for (let i = 1; i <= steps; i++) ring[(from + i) & (ringWords - 1)] = 0;
      this.#high = high;
      this.#low = low;
    } else if (ahead < -windowBits) return false;

    const index = (low >>> 5) & (ringWords - 1);
    const bit = 1 << (low & (wordBits - 1));
    const word = ring[index]!;
    if ((word & bit) !== 0) return false;
    ring[index] = word | bit;
    return true;
  }
}
