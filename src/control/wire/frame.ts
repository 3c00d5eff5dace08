// Frames: JSON texts with a `type`, on the WebSocket channels. Unknown types are counted and ignored, unknown fields are ignored,
// malformed frames close the channel.

import { check } from '../validate.ts';
import type { Shape } from '../validate.ts';

export const frameMaxBytes = 65_536;

export type FrameShapes<F extends { readonly type: string }> = {
  readonly [T in F['type']]: Shape<Extract<F, { type: T }>>;
};

export type FrameRead<F> =
  | { readonly kind: 'frame'; readonly frame: F }
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'malformed'; readonly error: string };

export type FrameReader<F> = (text: string) => FrameRead<F>;

export function reader<F extends { readonly type: string }>(shapes: FrameShapes<F>): FrameReader<F> {
  return text => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { kind: 'malformed', error: 'not JSON' };
    }
    const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
    if (typeof type !== 'string') return { kind: 'malformed', error: 'type must be a string' };
    if (!Object.hasOwn(shapes, type)) return { kind: 'unknown', type: type.slice(0, 32) };
    const result = check(shapes[type as F['type']] as Shape<F>, value);
    return result.ok
      ? { kind: 'frame', frame: result.value }
      : { kind: 'malformed', error: `${type}: ${result.error}` };
  };
}
