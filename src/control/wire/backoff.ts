// How long to wait before trying again.

/** Delay before attempt `attempt` (0 is the first retry): full jitter up to 0.5 s doubled each time, at most 30 s. */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return ceiling / 4 + random() * ceiling * 0.75;
}
