// `sallyport tunnel IFNAME`: a plain userspace WireGuard device that is called like `wireguard-go IFNAME` (U11),
// so `wg`, `wg-quick` and existing scripts work. It goes to the background once its UAPI socket is ready; it ends on TERM or
// INT, when the socket file is removed, or when the TUN disappears. The client uses `openTunnel` as a library.

import { spawn, type StdioOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createLog, type Log, type LogOptions } from '../control/log.ts';
import { errorText, PlainError, usageError } from '../util/errors.ts';
import { inheritedFd, inheritedTun, type RouteName, routeNames } from '../platform/ffi/route.ts';
import { startDataplane } from './dataplane/client.ts';
import type { Link } from './dataplane/commands.ts';
import type { DataplaneOptions, StartDataplane } from './dataplane/options.ts';
import { Uapi } from './uapi/server.ts';

export interface TunnelOptions extends DataplaneOptions {
  readonly log: Log;
  readonly uapiDirectory?: string;
  readonly uapiFd?: number;
  readonly start?: StartDataplane;
}

export interface Tunnel {
  readonly ifname: string;
  readonly link: Link;
  /** Resolves when everything is closed, with the reason. */
  readonly ended: Promise<string>;
  /** Removes the socket, closes the device and wipes its keys. */
  close(why?: string): Promise<void>;
}

export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const dataplane = await (options.start ?? startDataplane)(options);
  const { ifname } = dataplane.ready;
  let end!: (why: string) => void;
  const why = new Promise<string>(resolve => (end = resolve));
  dataplane.onEvent(event => {
    if (event.ev === 'log') options.log.at(event.level, event.message);
    else if (event.ev === 'fatal') options.log.error(event.message);
  });
  void dataplane.closed.then(() => end('the TUN device is gone'));
  const uapi = await Uapi.listen({
    ifname,
    link: dataplane,
    onGone: end,
    ...(options.uapiDirectory !== undefined && { directory: options.uapiDirectory }),
    ...(options.uapiFd !== undefined && { fd: options.uapiFd }),
  }).catch(async (error: unknown) => {
    await dataplane.stop();
    throw error;
  });
  const ended = why.then(async reason => {
    await uapi.close();
    await dataplane.stop();
    return reason;
  });
  const close = async (reason = 'closed'): Promise<void> => {
    end(reason);
    await ended;
  };
  return { ifname, link: dataplane, ended, close };
}

export interface TunnelArguments {
  readonly ifname: string;
  readonly foreground: boolean;
  readonly logLevel: LogOptions['level'];
  /** A log was asked for, so a background process keeps its outputs. */
  readonly keepOutput: boolean;
  /** Where the UAPI socket goes and which TUN node is opened; for users who may not touch the usual ones. */
  readonly uapiDirectory?: string;
  readonly tunDevice?: string;
  readonly tunFd?: number;
  readonly tunOwner?: number;
  readonly uapiFd?: number;
  /** SALLYPORT_FFI, SALLYPORT_OFFLOAD and SALLYPORT_CRYPTO, as for the agent. */
  readonly ffi?: RouteName | 'auto';
  readonly offload?: 'auto' | 'off';
  readonly crypto?: string;
  /** SALLYPORT_THREADS. */
  readonly threads?: number;
}

const levels: Readonly<Record<string, LogOptions['level']>> = {
  verbose: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  error: 'error',
  silent: 'silent',
};

/** Arguments and environment of wireguard-go, and a few of ours. */
export function parseTunnelArguments(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): TunnelArguments {
  let foreground = environment['WG_PROCESS_FOREGROUND'] === '1';
  let level = environment['LOG_LEVEL'];
  let ifname: string | undefined;
  const paths: { uapiDirectory?: string; tunDevice?: string } = {};
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--foreground' || arg === '-f') foreground = true;
    else if (arg === '--log-level') {
      level = args[++i];
      if (level === undefined || !Object.hasOwn(levels, level))
        throw usageError(
          'log-level',
          `--log-level ${level ?? ''}: expected one of ${Object.keys(levels).join(', ')}`,
        );
    } else if (arg === '--uapi-dir' || arg === '--tun-device') {
      const path = args[++i];
      if (path === undefined || !path.startsWith('/'))
        throw usageError('path', `${arg} ${path ?? ''}: expected an absolute path`);
      paths[arg === '--uapi-dir' ? 'uapiDirectory' : 'tunDevice'] = path;
    } else if (arg.startsWith('-')) throw usageError('argument', `unknown option '${arg}': ${usage}`);
    else if (ifname !== undefined) throw usageError('argument', `second interface name '${arg}': ${usage}`);
    else ifname = arg;
  }
  if (ifname === undefined) throw usageError('argument', `the interface name is missing: ${usage}`);
  checkIfname(ifname);
  const offload = environment['SALLYPORT_OFFLOAD'];
  if (offload !== undefined && offload !== 'auto' && offload !== 'off')
    throw usageError('offload', `SALLYPORT_OFFLOAD='${offload}': expected auto or off`);
  const crypto = environment['SALLYPORT_CRYPTO'];
  const ffi = environment['SALLYPORT_FFI'];
  if (ffi !== undefined && ffi !== 'auto' && !isRoute(ffi))
    throw usageError('ffi', `SALLYPORT_FFI='${ffi}': expected auto or one of ${routeNames.join(', ')}`);
  const threads = environment['SALLYPORT_THREADS'];
  if (threads !== undefined && threads !== '1' && threads !== '2')
    throw usageError('threads', `SALLYPORT_THREADS='${threads}': expected 1 or 2`);
  const uapiFd = inheritedFd(environment, 'WG_UAPI_FD');
  return {
    ifname,
    foreground,
    logLevel: levels[level ?? ''] ?? 'error',
    keepOutput: level !== undefined && level !== '' && level !== 'silent',
    ...paths,
    ...(offload !== undefined && { offload }),
    ...(crypto !== undefined && { crypto }),
    ...(ffi !== undefined && { ffi }),
    ...inheritedTun(environment),
    ...(threads !== undefined && { threads: Number(threads) }),
    ...(uapiFd !== null && { uapiFd }),
  };
}

const usage =
  'expected sallyport tunnel IFNAME [--foreground] [--log-level LEVEL] [--uapi-dir DIR] [--tun-device PATH]';

/** The kernel's rule (dev_valid_name), so that the message comes from us and not from an ioctl. */
export function checkIfname(name: string): void {
  if (/^[^/:\s\0]{1,15}$/.test(name) && Buffer.byteLength(name) <= 15 && name !== '.' && name !== '..')
    return;
  throw usageError(
    'ifname',
    `interface name '${name}': expected 1 to 15 bytes without '/', ':' or spaces, such as wg0`,
  );
}

function isRoute(name: string): name is RouteName {
  return (routeNames as readonly string[]).includes(name);
}

/** What `run` touches of its process; replaced in tests. */
export interface TunnelHost {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly start?: StartDataplane;
  readonly uapiDirectory?: string;
  /** Program and leading arguments that start this program again. */
  readonly self: readonly [string, ...string[]];
  /** The pipe to the foreground process that waits for us, when there is one. */
  readonly parent: { send(message: Ready): void } | null;
}

type Ready = { ready: string } | { failed: string; exit: number };

export async function run(args: readonly string[], host: TunnelHost = processHost()): Promise<number> {
  const wanted = parseTunnelArguments(args, host.environment);
  if (!wanted.foreground) return background(wanted, host);
  const log = createLog({
    level: wanted.logLevel,
    area: wanted.ifname,
    environment: host.environment,
  });
  let tunnel: Tunnel;
  try {
    tunnel = await openTunnel({ ...wanted, ...host, log });
  } catch (error) {
    if (error instanceof PlainError) host.parent?.send({ failed: error.message, exit: error.exit });
    else host.parent?.send({ failed: errorText(error), exit: 1 });
    throw error;
  }
  host.parent?.send({ ready: tunnel.ifname });
  const onSignal = (signal: NodeJS.Signals): void => void tunnel.close(`signal ${signal}`);
  for (const signal of signals) process.on(signal, onSignal);
  const why = await tunnel.ended;
  for (const signal of signals) process.off(signal, onSignal);
  log.debug(`shutting down: ${why}`);
  return 0;
}

const signals = ['SIGTERM', 'SIGINT'] as const;

/** Starts the same program in a session of its own and returns once that one is ready. */
function background(wanted: TunnelArguments, host: TunnelHost): Promise<number> {
  const output = wanted.keepOutput ? 'inherit' : 'ignore';
  const stdio: StdioOptions = ['ignore', output, output, 'ipc'];
  const environment: Record<string, string | undefined> = { ...host.environment, WG_PROCESS_FOREGROUND: '1' };
  const pass = (name: string, fd: number | undefined): void => {
    if (fd === undefined) return;
    environment[name] = `${stdio.length}`;
    stdio.push(fd);
  };
  pass('WG_TUN_FD', wanted.tunFd);
  pass('WG_UAPI_FD', wanted.uapiFd);
  const [program, ...leading] = host.self;
  const paths = [
    ...(wanted.uapiDirectory === undefined ? [] : ['--uapi-dir', wanted.uapiDirectory]),
    ...(wanted.tunDevice === undefined ? [] : ['--tun-device', wanted.tunDevice]),
  ];
  const child = spawn(
    program,
    [...leading, 'tunnel', wanted.ifname, '--log-level', wanted.logLevel, ...paths],
    {
      detached: true,
      stdio,
      env: environment,
    },
  );
  return new Promise((resolve, reject) => {
    const failed = (message: string, exit: 1 | 2 = 1): void =>
      reject(new PlainError('tunnel', message, exit));
    child.on('error', error => failed(`cannot start ${program}: ${error.message}`));
    // The end of the pipe, not of the process: a last message may still be in it.
    child.on('disconnect', () => failed('the background process ended before it was ready'));
    child.once('message', (message: Ready) => {
      child.removeAllListeners('disconnect');
      child.disconnect();
      child.unref();
      if ('ready' in message) resolve(0);
      else failed(message.failed, message.exit === 2 ? 2 : 1);
    });
  });
}

/** From source this is one module among many; the bundle is one file and starts itself again. */
function door(here: string): URL {
  return here.endsWith('.ts') ? new URL('../main.ts', here) : new URL(here);
}

function processHost(): TunnelHost {
  return {
    environment: process.env,
    self: [process.execPath, ...process.execArgv, fileURLToPath(door(import.meta.url))],
    parent:
      process.send === undefined
        ? null
        : {
            send: message => {
              process.send!(message, () => process.disconnect());
            },
          },
  };
}
