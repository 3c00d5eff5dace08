// Counters of the data plane: plain numbers in fixed arrays, bumped by the packet path and read by `state`. They only grow.

import { verdicts, type DeviceEvent, type Verdict } from '../../wireguard/effects.ts';
import type { DataplaneCounters } from './commands.ts';

/** Upper bounds of `sallyport_batch_packets`; one more bucket holds what is larger. */
const batchBounds: readonly number[] = [1, 2, 4, 8, 16, 32, 64, 128];

export class Counters {
  readonly #drops = new Map<Verdict, number>(verdicts.map(verdict => [verdict, 0]));
  readonly #handshakes = new Map<DeviceEvent['kind'], number>();
  readonly #batches = new Float64Array(batchBounds.length + 1);
  #batchPackets = 0;
  /** Longest time from a wake-up to the next wait since the last read, in milliseconds. */
  loopLagMs = 0;
  /** Packets that a system call refused: the network's or the tunnel's queue was full, or worse. */
  sendErrors = 0;
  tunErrors = 0;

  verdict(verdict: Verdict, packets = 1): void {
    this.#drops.set(verdict, this.#drops.get(verdict)! + packets);
  }

  event(kind: DeviceEvent['kind']): void {
    this.#handshakes.set(kind, (this.#handshakes.get(kind) ?? 0) + 1);
  }

  batch(packets: number): void {
    let bucket = 0;
    while (bucket < batchBounds.length && packets > batchBounds[bucket]!) bucket++;
    this.#batches[bucket]!++;
    this.#batchPackets += packets;
  }

  read(offloads: readonly string[], crypto: string, threads: number): DataplaneCounters {
    const drops: Record<string, number> = { 'send-error': this.sendErrors, 'tun-error': this.tunErrors };
    for (const [verdict, count] of this.#drops) {
      if (verdict !== 'ok' && verdict !== 'keepalive' && verdict !== 'staged') drops[verdict] = count;
    }
    const lag = this.loopLagMs;
    this.loopLagMs = 0;
    return {
      drops,
      handshakes: Object.fromEntries(this.#handshakes),
      batches: { bounds: batchBounds, counts: [...this.#batches], sum: this.#batchPackets },
      loopLagMs: lag,
      offloads,
      crypto,
      threads,
    };
  }
}
