// What people read about options whose sources hold only names and kinds. The compiler or scripts/configuration.ts refuses an
// option without a text.

import type { specs as coreSpecs } from '../../src/core/command.ts';
import type { Policy } from '../../src/core/policy/policy.ts';
import type { specs as proxySpecs } from '../../src/proxy/command.ts';

export interface OptionText {
  readonly fallback: string;
  readonly about: string;
}

export const coreTexts: Readonly<Record<keyof typeof coreSpecs, OptionText>> = {
  data: {
    fallback: '/var/lib/sallyport',
    about: 'directory of the database, the keys and the administrator socket',
  },
  'key-file': {
    fallback: 'a file in the data directory',
    about: 'the key that seals secrets in the database; keep it apart from backups of the database',
  },
  'agents-listen': { fallback: '127.0.0.1:8445', about: 'where agents connect, ADDRESS:PORT' },
  'agents-tls-cert': { fallback: 'none', about: 'certificate for agents, PEM; read anew at SIGHUP' },
  'agents-tls-key': { fallback: 'none', about: 'its private key, PEM without passphrase' },
  proxy: { fallback: 'none', about: 'Proxies to connect to, wss://HOST:PORT each' },
  'proxy-token': { fallback: 'none', about: 'what Core shows to the Proxies; at least 16 characters' },
  'metrics-listen': {
    fallback: 'off',
    about: '/healthz, /readyz and /metrics over plain HTTP, ADDRESS:PORT such as 127.0.0.1:9587',
  },
  'proxy-ca': {
    fallback: "the system's",
    about: "PEM of the authority that signed the Proxies' certificates",
  },
  smtp: {
    fallback: 'none',
    about:
      'mail server for codes by e-mail: smtp://HOST:587 (STARTTLS) or smtps://HOST:465; plain only on loopback',
  },
  'smtp-user': { fallback: 'none', about: 'user name at the mail server' },
  'smtp-password': { fallback: 'none', about: 'its password' },
  'smtp-ca': {
    fallback: "the system's",
    about: "PEM of the authority that signed the mail server's certificate",
  },
  'mail-from': { fallback: 'required with smtp', about: 'address of the sender of codes' },
  'log-level': { fallback: 'info', about: 'error, warn, info, debug or trace' },
  insecure: {
    fallback: 'false',
    about: 'allow plain connections on addresses other than loopback; for tests',
  },
};

export const proxyTexts: Readonly<Record<keyof typeof proxySpecs, OptionText>> = {
  listen: { fallback: '127.0.0.1:8443', about: 'where clients connect, ADDRESS:PORT' },
  'core-listen': { fallback: '127.0.0.1:8444', about: 'where Core connects' },
  'core-token': { fallback: 'required', about: 'what Core has to show; at least 16 characters' },
  'tls-cert': { fallback: 'none', about: 'certificate of both listeners, PEM; read anew at SIGHUP' },
  'tls-key': { fallback: 'none', about: 'its private key, PEM without passphrase' },
  'trusted-proxy': {
    fallback: 'none',
    about: 'addresses or prefixes of load balancers in front, whose X-Forwarded-For is believed',
  },
  'metrics-listen': {
    fallback: 'off',
    about: '/healthz, /readyz and /metrics over plain HTTP, ADDRESS:PORT such as 127.0.0.1:9588',
  },
  'log-level': { fallback: 'info', about: 'error, warn, info, debug or trace' },
  insecure: { fallback: 'false', about: 'allow plain HTTP on addresses other than loopback; for tests' },
};

export interface LocationText extends OptionText {
  /** What stands for the value in a command line; '' for a switch. */
  readonly value: string;
  readonly key: string;
  /** The default comes from this field of the default policy. */
  readonly policy?: keyof Policy;
}

export const locationTexts: Readonly<Record<string, LocationText>> = {
  network: {
    value: 'PREFIX',
    key: 'network',
    fallback: 'required',
    about: 'where devices have their inner addresses; the first address is the gateway',
  },
  network6: {
    value: 'PREFIX',
    key: 'network6',
    fallback: 'none',
    about: 'an IPv6 prefix beside an IPv4 one',
  },
  endpoint: {
    value: 'HOST:PORT',
    key: 'endpoint',
    fallback: 'none',
    about: 'where clients reach the gateway, unless an agent has its own',
  },
  'allowed-ips': {
    value: 'PREFIX,...',
    key: 'allowedIps',
    fallback: 'the networks',
    about: 'what clients send into the tunnel',
  },
  dns: { value: 'ADDRESS,...', key: 'dns', fallback: 'none', about: 'name servers while a session lasts' },
  mtu: { value: 'BYTES', key: 'mtu', fallback: '1420', about: 'inner MTU, 576 to 65535' },
  keepalive: { value: 'SECONDS', key: 'keepalive', fallback: '25', about: 'persistent keepalive of clients' },
  groups: {
    value: 'GROUP,...',
    key: 'groups',
    fallback: 'none: all users',
    about: 'users of one of these groups may use it',
  },
  steps: {
    value: 'totp/recovery',
    key: 'steps',
    fallback: '`totp,recovery`',
    about: 'steps of a login; a comma is a choice within one step, a slash begins the next step',
  },
  'allow-x25519': {
    value: '',
    key: 'allowX25519',
    fallback: 'false',
    about: 'accept clients without the hybrid KEM: no post-quantum secrecy for them',
  },
  'stale-after': {
    value: 'SECONDS',
    key: 'policy.staleAfter',
    fallback: '',
    policy: 'staleAfter',
    about: 'without a completed handshake; 180 to 86400',
  },
  'idle-after': {
    value: 'SECONDS',
    key: 'policy.idleAfter',
    fallback: '',
    policy: 'idleAfter',
    about: 'without data from the device; 0 is off',
  },
  'max-life': {
    value: 'SECONDS',
    key: 'policy.maxLife',
    fallback: '',
    policy: 'maxLife',
    about: 'age at which a session ends whatever happens; at least 60',
  },
  lease: {
    value: 'SECONDS',
    key: 'policy.lease',
    fallback: '',
    policy: 'lease',
    about: 'Core renews it while it is connected; a session ends when it runs out; 0 is off',
  },
  'claim-within': {
    value: 'SECONDS',
    key: 'policy.claimWithin',
    fallback: '',
    policy: 'claimWithin',
    about: 'for the first handshake after the login; 5 to 3600',
  },
  'offline-grace': {
    value: 'SECONDS',
    key: 'policy.offlineGrace',
    fallback: '',
    policy: 'offlineGrace',
    about: 'how long a session outlives its lease while Core is away',
  },
  'on-roam': {
    value: 'ignore|reauth',
    key: 'policy.onRoam',
    fallback: '',
    policy: 'onRoam',
    about: 'reauth ends the session when the device moves to another address',
  },
  ack: {
    value: 'one|all',
    key: 'policy.ack',
    fallback: '',
    policy: 'ack',
    about: 'a login succeeds when one gateway has installed it, or when all connected ones have',
  },
  'demo-stale-after': {
    value: 'SECONDS',
    key: 'policy.dangerouslyShortStaleAfter',
    fallback: 'none',
    about: 'for demonstrations: below 180 it logs living devices out',
  },
};

const tunDevice = 'path of the TUN control node, /dev/net/tun unless told otherwise';

export const clientTexts: {
  readonly common: Readonly<Record<string, string>>;
  readonly own: Readonly<Record<string, string>>;
} = {
  common: {
    state: 'state directory; else `SALLYPORT_STATE`, else `~/.config/sallyport`',
    json: 'one JSON object on standard output, errors included',
    help: 'the usage of the command',
  },
  own: {
    proxy: 'address of the Proxy, https://HOST[:PORT]',
    'token-file': 'file with the enrolment token; `-` or nothing is standard input',
    name: "the device's name at Core; the host name unless told otherwise",
    ca: "PEM of the authority that signed the Proxy's certificate",
    'plain-http': 'allow http://; for tests on one machine',
    again: 'replace the device that is enrolled in this state directory',
    interface: "the tunnel's interface; made from the location's name unless told otherwise",
    'tun-device': tunDevice,
    'log-level': 'info or debug, in the log file beside the state',
    foreground: 'stay in the foreground, for a service manager',
    'code-file': 'file with the codes, one a line; `-` is standard input; else the terminal is asked',
    method: 'totp, recovery or email; else the location decides',
  },
};

export const tunnelVariables: Readonly<Record<string, string>> = {
  LOG_LEVEL: '`sallyport tunnel`: verbose, debug, info, warn, error or silent (default error)',
  WG_PROCESS_FOREGROUND: '`sallyport tunnel`: 1 stays in the foreground',
  WG_TUN_FD: 'descriptor of a TUN that a launcher opened',
  WG_UAPI_FD: '`sallyport tunnel`: descriptor of a listening UAPI socket',
  'SALLYPORT_FFI, SALLYPORT_OFFLOAD, SALLYPORT_CRYPTO, SALLYPORT_THREADS':
    "`sallyport tunnel`: as the agent's options of these names",
  SALLYPORT_KOFFI: "path of koffi's module, where it lies neither beside the bundle nor in node_modules",
  SALLYPORT_LOG_TIME: '0 leaves the time out of log lines, for collectors that stamp them',
  'WG_COLOR_MODE, WG_HIDE_KEYS': '`sallyport show`: as for `wg show`',
};
