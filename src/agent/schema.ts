// Every option of the agent, once: its name (in the file, as --flag and as SALLYPORT_… variable), its form, its default and
// a sentence for people. Configuration is flat, because the same names live in TOML, UCI, flags and the environment.
// Pure: text and values in, checked values or an expectation out. Where a value came from is the business of config.ts.

import { logLevels } from '../platform/log.ts';
import { contains, formatPrefix, type IpPrefix, parseAddress, parsePrefix } from './ip.ts';

/** A value that was understood, or what would have been. */
export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly expected: string };

export interface Form<T> {
  /** From a flag or the environment, where everything is text. */
  text(text: string): Parsed<T>;
  /** From a file, where values have types. */
  value(value: unknown): Parsed<T>;
}

export interface Option<T> {
  readonly form: Form<T>;
  readonly fallback: T;
  readonly about: string;
  /** A good value, for the hint behind an error. */
  readonly example: string;
  /** Changing it needs a new process; the others follow a HUP. */
  readonly fixed?: true;
  /** A secret: never a flag; read by platform/secrets.ts. */
  readonly secret?: true;
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

/** A network: host bits would be a slip of the pen. */
export const network: Form<IpPrefix> = textual(given => {
  const prefix = parsePrefix(given);
  const own = parseAddress(given.split('/')[0]!);
  if (prefix === null || own === null) return expect('an IP network such as 10.77.0.0/16');
  const isNetwork =
    contains(prefix, { ...own, prefix: prefix.prefix }) && sameBytes(own.address, prefix.address);
  return isNetwork ? ok(prefix) : expect(`the network address, here ${formatPrefix(prefix)}`);
}, 'an IP network such as 10.77.0.0/16');

/** An address with the length of its network; host bits are kept. */
export const hostAddress: Form<IpPrefix> = textual(given => {
  const prefix = parsePrefix(given);
  const own = parseAddress(given.split('/')[0]!);
  return prefix === null || own === null
    ? expect('an address with prefix length such as 10.77.0.1/24')
    : ok({ ...own, prefix: prefix.prefix });
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

/** Nobody but this machine can listen in. */
export function isLoopback(url: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);
}

const path = text('an absolute path', /^\/[^\0]*$/);
const optionalPath = text('an absolute path', /^(\/[^\0]*)?$/);
const hourMs = 3_600_000;

export const agentOptions = {
  core_url: {
    form: coreUrl,
    fallback: '',
    about: 'where Core listens for agents',
    example: 'https://core.example:8443',
    fixed: true,
  },
  allow_plain: {
    form: flag,
    fallback: false,
    about: 'speak http:// to a Core on another machine; for tests inside a network you trust',
    example: 'false',
    fixed: true,
  },
  ca_file: {
    form: optionalPath,
    fallback: '',
    about: "PEM file of the authority that signed Core's certificate, instead of the system's",
    example: '/etc/sallyport/ca.pem',
    fixed: true,
  },
  join_token: {
    form: text('a join token ("spj_…")', /^spj_[A-Za-z0-9_-]{32}$/),
    fallback: '',
    about: 'used once, to join; better as file:/path, join_token_file or a credential',
    example: 'file:/run/secrets/join-token',
    secret: true,
  },
  name: {
    form: text('a name of 1 to 100 printable characters', /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{0,100}$/u),
    fallback: '',
    about: "how Core's console calls this gateway; the host name unless told otherwise",
    example: 'gate-1',
    fixed: true,
  },
  state_dir: {
    form: path,
    fallback: '/var/lib/sallyport',
    about: 'keys and sealed grants',
    example: '/var/lib/sallyport',
    fixed: true,
  },
  run_dir: {
    form: path,
    fallback: '/var/run/sallyport',
    about: 'the status socket',
    example: '/var/run/sallyport',
    fixed: true,
  },
  uapi_dir: {
    form: path,
    fallback: '/var/run/wireguard',
    about: 'the socket for wg',
    example: '/var/run/wireguard',
    fixed: true,
  },
  ifname: {
    form: text('1 to 15 characters without "/", ":" or spaces', /^(?!\.\.?$)[^/:\s\0]{1,15}$/),
    fallback: 'wg0',
    about: 'the tunnel interface',
    example: 'wg0',
    fixed: true,
  },
  listen_port: {
    form: integer(0, 65535),
    fallback: 51820,
    about: 'UDP port; 0 picks one',
    example: '51820',
  },
  mtu: {
    form: integer(0, 9000),
    fallback: 0,
    about: 'inner MTU; 0 follows Core',
    example: '1420',
    fixed: true,
  },
  fwmark: {
    form: integer(0, 0xffffffff),
    fallback: 0,
    about: 'mark on outgoing packets; 0 is none',
    example: '0',
  },
  addresses: {
    form: list(hostAddress),
    fallback: [],
    about: 'addresses of the interface, instead of those Core names',
    example: '["10.77.0.1/24"]',
  },
  routes: {
    form: list(network),
    fallback: [],
    about: 'further networks to reach through the tunnel',
    example: '["10.78.0.0/16"]',
  },
  configure_link: {
    form: flag,
    fallback: true,
    about: 'set addresses, routes and link state; off where netifd or systemd-networkd does',
    example: 'true',
    fixed: true,
  },
  max_life: {
    form: duration(60_000, 365 * 24 * hourMs),
    fallback: 24 * hourMs,
    about: 'longest grant accepted, whatever Core asks for',
    example: '"24h"',
  },
  min_stale: {
    form: duration(1000, 24 * hourMs),
    fallback: 180_000,
    about: 'shortest stale time accepted; below 180 s WireGuard itself logs people out',
    example: '"180s"',
  },
  ranges: {
    form: list(network),
    fallback: [],
    about: 'peers must have their addresses in one of these; empty means anywhere',
    example: '["10.77.0.0/16"]',
  },
  max_peers: {
    form: integer(1, 65536),
    fallback: 4096,
    about: 'peers at the same time',
    example: '4096',
  },
  allow_x25519: {
    form: flag,
    fallback: false,
    about: 'enrol with plain X25519 sealing: gives up post-quantum secrecy',
    example: 'false',
    fixed: true,
  },
  metrics_listen: {
    form: listenAddress,
    fallback: { host: '127.0.0.1', port: 9586 },
    about: 'health and metrics over HTTP',
    example: '"127.0.0.1:9586"',
    fixed: true,
  },
  log_level: {
    form: choice(...logLevels, 'silent'),
    fallback: 'info',
    about: 'what is worth a line',
    example: '"info"',
  },
  log_format: {
    form: choice('text', 'json'),
    fallback: 'text',
    about: 'lines for people or for collectors',
    example: '"text"',
    fixed: true,
  },
  user: {
    form: text('a user name or number', /^[A-Za-z0-9_][A-Za-z0-9_-]{0,31}$|^$/),
    fallback: '',
    about: 'become this user before anything is opened; where no supervisor does it',
    example: '"sallyport"',
    fixed: true,
  },
  ubus: {
    form: choice('auto', 'off'),
    fallback: 'auto',
    about: "OpenWrt's message bus, where there is one",
    example: '"auto"',
    fixed: true,
  },
  tun_device: {
    form: path,
    fallback: '/dev/net/tun',
    about: 'the TUN control node',
    example: '/dev/net/tun',
    fixed: true,
  },
  offload: {
    form: choice('auto', 'off'),
    fallback: 'auto',
    about: 'kernel offloads; off for odd kernels',
    example: '"auto"',
    fixed: true,
  },
  ffi: {
    form: choice('auto', 'node:ffi', 'koffi', 'deno'),
    fallback: 'auto',
    about: 'how system calls are reached',
    example: '"auto"',
    fixed: true,
  },
  crypto: {
    form: text('auto or the name of a back end', /^[a-z0-9-]{1,20}$/),
    fallback: 'auto',
    about: 'AEAD back end; auto measures',
    example: '"auto"',
    fixed: true,
  },
} as const satisfies Readonly<Record<string, Option<never> | Option<unknown>>>;

type Options = typeof agentOptions;
export type OptionName = keyof Options;
export type AgentSettings = {
  readonly [N in OptionName]: Options[N]['form'] extends Form<infer T> ? T : never;
};

export const optionNames: readonly OptionName[] = Object.keys(agentOptions) as OptionName[];

/** The option somebody probably meant. */
export function closestOption(name: string): OptionName | null {
  const plain = (word: string): string => word.toLowerCase().replace(/[-_]/g, '');
  let best: OptionName | null = null;
  let bestDistance = name.length < 6 ? 2 : 3;
  for (const option of optionNames) {
    const distance = editDistance(plain(name), plain(option));
    if (distance < bestDistance) [best, bestDistance] = [option, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 3) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
