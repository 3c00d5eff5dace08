// UDP: the highest rate with less than 0.1 % loss. A flood of a moment says where about that is; short runs bracket the
// edge and halve the bracket; what is reported is a longer run at the rate found. A rate counts as carried only if the
// datagrams also arrive as fast as they were sent: queues alone would carry anything for half a second.

import type { Bed } from './bed.ts';
import { Instrument } from './instrument.ts';
import type { Results } from './results.ts';

const lossLimit = 0.001;
const probeSeconds = 0.5;
const confirmSeconds = 1;
/** Datagrams per second below which a tunnel carries nothing worth a number. */
const lowest = 100;
/** The bracket is narrow enough. */
const resolution = 1.06;
/** A loss so small may come from another process on the processor: it is measured again. */
const nearLoss = 0.01;
const step = 1.5;
const warmUpRate = 30_000;
const portOf = 5300;

interface Run {
  readonly ok: boolean;
  readonly near: boolean;
  /** Datagrams per second that arrived. */
  readonly rate: number;
}

class Line {
  readonly #sender: Instrument;
  readonly #receiver: Instrument;
  #id = 0;

  constructor(bed: Bed) {
    this.#receiver = new Instrument(bed.b, 'blast', ['receive', bed.addressB, `${portOf}`]);
    this.#sender = new Instrument(bed.a, 'blast', ['send', bed.addressB, `${portOf}`, bed.addressA]);
  }

  ready(): Promise<unknown> {
    return Promise.all([this.#receiver.ask(), this.#sender.ask()]);
  }

  /** `rate` 0 is as fast as the sender can. */
  async run(bytes: number, rate: number, seconds: number): Promise<Run> {
    const id = ++this.#id;
    interface Count {
      sent: number;
      received: number;
      seconds: number;
    }
    const out = await this.#sender.ask<Count>(`${id} ${bytes} ${rate} ${seconds}`);
    const got = await this.#receiver.ask<Count>(`${id}`);
    const loss = out.sent === 0 ? 1 : 1 - got.received / out.sent;
    const isSteady = got.seconds <= out.seconds * 1.02 + 0.01 && out.seconds <= seconds * 1.04 + 0.01;
    return {
      ok: loss < lossLimit && isSteady,
      near: loss < nearLoss,
      rate: got.received / Math.max(out.seconds, got.seconds, 1e-3),
    };
  }

  close(): Promise<unknown> {
    return Promise.all([this.#sender.stop(), this.#receiver.stop()]);
  }
}

/** Datagrams per second. */
async function highest(line: Line, bytes: number): Promise<number> {
  const carries = async (rate: number): Promise<boolean> => {
    const run = await line.run(bytes, rate, probeSeconds);
    return run.ok || (run.near && (await line.run(bytes, rate, probeSeconds)).ok);
  };
  const flood = await line.run(bytes, 0, probeSeconds / 2);
  let low = 0;
  let high = Infinity;
  let rate = Math.max(1000, flood.rate * 0.8);
  while (low === 0 || high > low * resolution) {
    if (await carries(rate)) low = rate;
    else high = rate;
    if (high < lowest) return 0;
    rate = high === Infinity ? low * step : low === 0 ? high / step : Math.sqrt(low * high);
  }
  // Short runs flatter; a longer one decides, and steps down in growing steps until it holds.
  for (let down = resolution; low >= lowest; low /= down, down *= down) {
    const run = await line.run(bytes, low, confirmSeconds);
    if (run.ok) return run.rate;
    const again = run.near ? await line.run(bytes, low, confirmSeconds) : run;
    if (again.ok) return again.rate;
  }
  return 0;
}

export async function udp(bed: Bed, results: Results, sizes: readonly number[]): Promise<void> {
  const line = new Line(bed);
  try {
    await line.ready();
    // Not counted: a tunnel in its first second compiles, allocates and finds its pace, and this is not what is asked.
    await line.run(sizes[0]!, warmUpRate, 1);
    for (const size of sizes) {
      const rate = await highest(line, size);
      const add = (metric: string, unit: string, value: number): void =>
        results.add({ section: 'udp', metric, unit, better: 'more' }, bed.candidate.name, value);
      add(`${size} B under 0.1 % loss`, 'Mbit/s', (rate * size * 8) / 1e6);
      add(`${size} B under 0.1 % loss, packets`, 'kpps', rate / 1000);
    }
  } finally {
    await line.close();
  }
}
