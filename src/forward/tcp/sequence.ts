// Sequence numbers (RFC 9293 §3.4): 32 bits that wrap around, kept as signed integers. Half of the space lies before a number.

/** How far `a` lies behind `b`; negative when it lies before. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function add(a: number, bytes: number): number {
  return (a + bytes) | 0;
}
