// TAI64N timestamps of initiations (whitepaper §5.1, §5.4.2; N1–N6): eight bytes of seconds and four of
// nanoseconds, big-endian, so that later is larger byte by byte. Takes the wall clock as an argument.

export const timestampBytes = 12;

/** Kernel: 1 s / 50 initiations, rounded down to a power of two, so that a timestamp tells little about our clock. */
const granularityNs = 2 ** 24;
const secondNs = 1_000_000_000;
/** TAI − UTC as in 1970, the constant every implementation uses. */
const offsetSeconds = 10;

/** Writes the timestamp of `wallMs` (Unix milliseconds), rounded down to 16.8 ms (N1). */
export function writeTimestamp(out: Uint8Array, wallMs: number): void {
  const seconds = Math.floor(wallMs / 1000);
  const ns = Math.floor((wallMs - seconds * 1000) * 1e6);
  write(out, seconds + offsetSeconds, ns - (ns % granularityNs));
}

/** −1, 0 or 1, as memcmp. */
export function compareTimestamps(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < timestampBytes; i++) {
    if (a[i]! !== b[i]!) return a[i]! < b[i]! ? -1 : 1;
  }
  return 0;
}

/**
 * The sender's clock. Where the wall clock went backwards (a router without RTC after a reboot) it steps on from the last
 * timestamp instead, for otherwise every responder would refuse us until real time caught up (N6).
 */
export class TimestampClock {
  /** The last timestamp given out; worth storing across restarts. */
  readonly last: Uint8Array = new Uint8Array(timestampBytes);

  constructor(last?: Uint8Array) {
    if (last) this.last.set(last);
  }

  next(out: Uint8Array, wallMs: number): void {
    writeTimestamp(out, wallMs);
    if (compareTimestamps(out, this.last) < 0) this.#stepOn(out);
    this.last.set(out);
  }

  #stepOn(out: Uint8Array): void {
    const view = new DataView(this.last.buffer, this.last.byteOffset, timestampBytes);
    let seconds = (view.getUint32(0) & 0x3fffffff) * 2 ** 32 + view.getUint32(4);
    let ns = view.getUint32(8) + granularityNs;
    if (ns >= secondNs) {
      seconds++;
      ns = 0;
    }
    write(out, seconds, ns);
  }
}

function write(out: Uint8Array, seconds: number, ns: number): void {
  const view = new DataView(out.buffer, out.byteOffset, timestampBytes);
  view.setUint32(0, 0x40000000 + Math.floor(seconds / 2 ** 32));
  view.setUint32(4, seconds % 2 ** 32);
  view.setUint32(8, ns);
}
