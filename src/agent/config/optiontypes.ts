// Forms of option values: each understands text (flags, environment, UCI) and file values (TOML has types), and says in words
// what it expected when it does not. Pure, and knows no option by name.

import { equalBytes } from '../../util/bytes.ts';
import {
  formatPrefix,
  type IpPrefix,
  network as networkOf,
  parseAddress,
  parsePrefix,
} from '../../util/inet.ts';

/** A value that was understood, or what would have been. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly expected: string };

export interface Form<T> {
  /** From a flag or the environment, where everything is text. */
  text(text: string): Parsed<T>;
  /** From a file, where values have types. */
  value(value: unknown): Parsed<T>;
}

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value });
const expect = (expected: string): { ok: false; expected: string } => ({ ok: false, expected });

function textual<T>(parse: (text: string) => Parsed<T>, expected: string): Form<T> {
  return { text: parse, value: value => (typeof value === 'string' ? parse(value) : expect(expected)) };
}

export function text(expected: string, form: RegExp): Form<string> {
  return textual(given => (form.test(given) ? ok(given) : expect(expected)), expected);
}

export function integer(min: number, max: number): Form<number> {
  const expected = `a whole number from ${min} to ${max}`;
  const check = (value: number): Parsed<number> =>
    Number.isSafeInteger(value) && value >= min && value <= max ? ok(value) : expect(expected);
  return {
    text: given =>
      /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(given) && given.length < 16 ? check(Number(given)) : expect(expected),
    value: value => (typeof value === 'number' ? check(value) : expect(expected)),
  };
}

/** As OpenWrt spells booleans, which includes TOML's. */
export const flag: Form<boolean> = {
  text: given => {
    if (['1', 'on', 'true', 'yes', 'enabled'].includes(given)) return ok(true);
    if (['0', 'off', 'false', 'no', 'disabled'].includes(given)) return ok(false);
    return expect('true or false');
  },
  value: value => (typeof value === 'boolean' ? ok(value) : expect('true or false, without quotes')),
};

export function choice<const T extends string>(...of: readonly T[]): Form<T> {
  const expected = `one of ${of.map(word => `"${word}"`).join(', ')}`;
  return textual(
    given => ((of as readonly string[]).includes(given) ? ok(given as T) : expect(expected)),
    expected,
  );
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds, written `90s`, `15m`, `12h` or `7d`; a bare number is seconds. */
export function duration(minMs: number, maxMs: number): Form<number> {
  const expected = `a duration from ${durationText(minMs)} to ${durationText(maxMs)}`;
  const check = (value: number): Parsed<number> =>
    value >= minMs && value <= maxMs ? ok(value) : expect(expected);
  const parse = (given: string): Parsed<number> => {
    const match = /^([0-9]{1,10})(ms|s|m|h|d)?$/.exec(given);
    return match === null ? expect(expected) : check(Number(match[1]) * unitsMs[match[2] ?? 's']!);
  };
  return {
    text: parse,
    value: value => {
      if (typeof value === 'string') return parse(value);
      return typeof value === 'number' && Number.isSafeInteger(value)
        ? check(value * 1000)
        : expect(expected);
    },
  };
}

export function durationText(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms > 0 && ms % unitsMs[unit]! === 0) return `${ms / unitsMs[unit]!}${unit}`;
  }
  return `${ms}ms`;
}

/** Several of one form: a list in the file, separated by commas or spaces elsewhere. */
export function list<T>(item: Form<T>): Form<readonly T[]> {
  const all = <V>(values: readonly V[], parse: (value: V) => Parsed<T>): Parsed<readonly T[]> => {
    const result: T[] = [];
    for (const value of values) {
      const parsed = parse(value);
      if (!parsed.ok) return expect(`each entry to be ${parsed.expected}`);
      result.push(parsed.value);
    }
    return ok(result);
  };
  return {
    text: given =>
      all(
        given.split(/[\s,]+/).filter(part => part !== ''),
        part => item.text(part),
      ),
    value: value =>
      Array.isArray(value)
        ? all(value as unknown[], part => item.value(part))
        : expect('a list, such as ["…", "…"]'),
  };
}

/** A network: host bits are taken for a mistake. */
export const network: Form<IpPrefix> = textual(given => {
  const prefix = parsePrefix(given);
  if (prefix === null) return expect('an IP network such as 10.77.0.0/16');
  const wanted = networkOf(prefix);
  return equalBytes(prefix.address, wanted.address)
    ? ok(prefix)
    : expect(`the network address, here ${formatPrefix(wanted)}`);
}, 'an IP network such as 10.77.0.0/16');

/** An address with the length of its network; host bits are kept. */
export const hostAddress: Form<IpPrefix> = textual(given => {
  const prefix = parsePrefix(given);
  return prefix === null ? expect('an address with prefix length such as 10.77.0.1/24') : ok(prefix);
}, 'an address with prefix length such as 10.77.0.1/24');

/** Where to listen; `off` is a null. */
export const listenAddress: Form<{ readonly host: string; readonly port: number } | null> = textual(given => {
  if (given === 'off') return ok(null);
  const match = /^(?:\[([^\]]+)\]|([0-9.]+|localhost)):([0-9]{1,5})$/.exec(given);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  const isHost = host !== undefined && (host === 'localhost' || parseAddress(host) !== null);
  return isHost && port <= 65535 ? ok({ host, port }) : expect('ADDRESS:PORT or off');
}, 'ADDRESS:PORT or off');

/** Origin and path of Core, without a slash at the end. */
export const coreUrl: Form<string> = textual(given => {
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    return expect('an https:// URL');
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return expect('an https:// URL');
  if (url.username !== '' || url.password !== '') return expect('a URL without user and password');
  return ok(`${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`);
}, 'an https:// URL');
