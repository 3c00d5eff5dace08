// Shapes: small hand-written validators for everything that arrives as JSON. A shape copies what it knows into a fresh
// object, ignores unknown fields (so that newer peers may add some) and names the first thing that is wrong with its
// path. Everything is bounded: strings, arrays, numbers. `read` turns hostile text into a value or one line, never a throw.

import { fromBase64 } from '../util/bytes.ts';
import { parsePrefixOrAddress } from '../util/inet.ts';

/** Returns the checked value, or throws a ShapeError that `read` and `check` catch. */
export type Shape<T> = (value: unknown, path: string) => T;

export type Read<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

export class ShapeError extends Error {
  constructor(path: string, expected: string) {
    super(`${path === '' ? 'the value' : path} must be ${expected}`);
    this.name = 'ShapeError';
  }
}

/** Parses JSON text and checks it. */
export function read<T>(shape: Shape<T>, text: string): Read<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, error: 'not JSON' };
  }
  return check(shape, value);
}

/** Checks a value that was parsed already. */
export function check<T>(shape: Shape<T>, value: unknown): Read<T> {
  try {
    return { ok: true, value: shape(value, '') };
  } catch (error) {
    if (error instanceof ShapeError) return { ok: false, error: error.message };
    throw error;
  }
}

export function string(maxLength: number, minLength = 0): Shape<string> {
  return (value, path) => {
    if (typeof value !== 'string' || value.length > maxLength || value.length < minLength)
      throw new ShapeError(path, `a string of ${minLength} to ${maxLength} characters`);
    return value;
  };
}

export function pattern(form: RegExp, expected: string, maxLength = 128): Shape<string> {
  return (value, path) => {
    if (typeof value !== 'string' || value.length > maxLength || !form.test(value))
      throw new ShapeError(path, expected);
    return value;
  };
}

/** Ids made by Core, and names in commands: nothing that needs quoting anywhere. */
export const id: Shape<string> = pattern(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
  'an identifier of letters, digits, ".", "_" and "-", at most 64',
  64,
);

/** Text for people: no control characters, so that it cannot forge a log line or drive a terminal. */
export const label: Shape<string> = pattern(
  /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,100}$/u,
  'a line of 1 to 100 characters',
  100,
);

export function integer(min: number, max: number): Shape<number> {
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
      throw new ShapeError(path, `a whole number from ${min} to ${max}`);
    return value;
  };
}

/** A count that only grows: bytes, packets, sequence numbers. */
export const count: Shape<number> = integer(0, Number.MAX_SAFE_INTEGER);

/** Unix milliseconds, up to the year 2255. */
export const time: Shape<number> = integer(0, 9_000_000_000_000);

export const boolean: Shape<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw new ShapeError(path, 'true or false');
  return value;
};

export function literal<const T extends string | number>(...allowed: T[]): Shape<T> {
  return (value, path) => {
    if (!(allowed as unknown[]).includes(value))
      throw new ShapeError(path, allowed.map(a => `"${a}"`).join(' or '));
    return value as T;
  };
}

/** Base64 of exactly `bytes` bytes; stays text. Turn it into bytes with `bytesOf`. */
export function base64(bytes: number): Shape<string> {
  const length = 4 * Math.ceil(bytes / 3);
  return (value, path) => {
    if (typeof value !== 'string' || value.length !== length || fromBase64(value)?.length !== bytes)
      throw new ShapeError(path, `${bytes} bytes in base64`);
    return value;
  };
}

export const key32: Shape<string> = base64(32);

/** A prefix in text; an address stands for itself alone. */
export const prefixText: Shape<string> = (value, path) => {
  if (typeof value !== 'string' || parsePrefixOrAddress(value) === null)
    throw new ShapeError(path, 'an IP prefix such as "10.77.0.2/32"');
  return value;
};

export function list<T>(item: Shape<T>, maxLength: number, minLength = 0): Shape<T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > maxLength || value.length < minLength)
      throw new ShapeError(path, `a list of ${minLength} to ${maxLength} entries`);
    return value.map((entry, i) => item(entry, `${path}[${i}]`));
  };
}

export type Optional<T> = Shape<T> & { readonly optional: true };

/** A field that may be left out. `null` is not "left out". */
export function optional<T>(shape: Shape<T>): Optional<T> {
  return Object.assign((value: unknown, path: string) => shape(value, path), { optional: true as const });
}

type Fields = { readonly [name: string]: Shape<unknown> };
type Needed<F extends Fields> = {
  [K in keyof F as F[K] extends Optional<unknown> ? never : K]: ReturnType<F[K]>;
};
type Spare<F extends Fields> = {
  [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: ReturnType<F[K]>;
};
export type Shaped<F extends Fields> = { [K in keyof (Needed<F> & Spare<F>)]: (Needed<F> & Spare<F>)[K] };

export function object<F extends Fields>(fields: F): Shape<Shaped<F>> {
  const entries = Object.entries(fields);
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ShapeError(path, 'an object');
    const result: Record<string, unknown> = {};
    for (const [name, shape] of entries) {
      const at = path === '' ? name : `${path}.${name}`;
      const present = Object.hasOwn(value, name) && (value as Record<string, unknown>)[name] !== undefined;
      if (present) result[name] = shape((value as Record<string, unknown>)[name], at);
      else if (!('optional' in shape)) throw new ShapeError(at, 'present');
    }
    return result as Shaped<F>;
  };
}

/** Bytes of a base64 text that a shape has accepted. */
export function bytesOf(text: string): Uint8Array {
  const bytes = fromBase64(text);
  if (bytes === null) throw new Error('bytesOf wants text that a shape has accepted');
  return bytes;
}
