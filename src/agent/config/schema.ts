// Every option of the agent, once: its name (in the file, as --flag and as SALLYPORT_… variable), its form, its default and
// a sentence for people. Configuration is flat, because the same names live in TOML, UCI, flags and the environment.
// Pure: sources are in config.ts.

import { logLevels, type LogOptions } from '../../control/log.ts';
import {
  choice,
  coreUrl,
  duration,
  flag,
  type Form,
  hostAddress,
  integer,
  list,
  listenAddress,
  network,
  text,
} from './optiontypes.ts';
import type { IpPrefix } from '../../util/inet.ts';

export interface Option<T> {
  readonly form: Form<T>;
  readonly fallback: T;
  readonly about: string;
  /** A good value, for the hint behind an error. */
  readonly example: string;
  /** Changing it needs a new process; the others follow a HUP. */
  readonly fixed?: true;
  /** A secret: never a flag; read by control/secrets.ts. */
  readonly secret?: true;
}

/** The checked settings. */
export interface AgentSettings {
  readonly core_url: string;
  readonly allow_plain: boolean;
  readonly ca_file: string;
  readonly join_token: string;
  readonly name: string;
  readonly state_dir: string;
  readonly run_dir: string;
  readonly uapi_dir: string;
  readonly ifname: string;
  readonly listen_port: number;
  readonly mtu: number;
  readonly fwmark: number;
  readonly addresses: readonly IpPrefix[];
  readonly routes: readonly IpPrefix[];
  readonly configure_link: boolean;
  /** Milliseconds, as all durations. */
  readonly max_life: number;
  readonly min_stale: number;
  readonly ranges: readonly IpPrefix[];
  readonly max_peers: number;
  readonly allow_x25519: boolean;
  readonly metrics_listen: { readonly host: string; readonly port: number } | null;
  readonly log_level: LogOptions['level'];
  readonly log_format: 'text' | 'json';
  readonly user: string;
  readonly ubus: string;
  readonly tun_device: string;
  readonly offload: 'auto' | 'off';
  readonly ffi: 'auto' | 'node:ffi' | 'koffi' | 'deno' | 'inherited-fd';
  readonly crypto: string;
  readonly threads: number;
}

export type OptionName = keyof AgentSettings;

const path = text('an absolute path', /^\/[^\0]*$/);
const optionalPath = text('an absolute path', /^(\/[^\0]*)?$/);
const hourMs = 3_600_000;

export const agentOptions: { readonly [N in OptionName]: Option<AgentSettings[N]> } = {
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
    about: 'name of this gateway at Core; the host name when not set',
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
    about: 'shortest stale time accepted; below 180 s living devices are logged out between two handshakes',
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
    about: 'least severe level that is logged',
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
    form: text('auto, off or the name of an object', /^[a-z][a-z0-9_.-]{0,63}$/),
    fallback: 'auto',
    about: "object name on OpenWrt's message bus, where there is one; auto is sallyport",
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
    form: choice('auto', 'node:ffi', 'koffi', 'deno', 'inherited-fd'),
    fallback: 'auto',
    about: 'how system calls are reached',
    example: '"auto"',
    fixed: true,
  },
  crypto: {
    form: text('auto or the name of a back end', /^[a-z0-9-]{1,20}$/),
    fallback: 'auto',
    about: 'cipher: openssl-raw, openssl-evp, wasm-simd, wasm or stablelib; auto takes the first that works',
    example: '"auto"',
    fixed: true,
  },
  threads: {
    form: integer(1, 2),
    fallback: 1,
    about: 'threads for packets; 2 adds a cipher thread, for gateways with idle processors',
    example: '1',
    fixed: true,
  },
};

export const optionNames: readonly OptionName[] = Object.keys(agentOptions) as OptionName[];

/** The option that was probably meant. */
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
