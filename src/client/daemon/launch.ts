// Launch: starts the tunnel, here or in a background process of its own. The child says over an inherited pipe when it is
// ready or why it is not, so that `up` never reports a tunnel that does not exist.

import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startDataplane } from '../../agent/dataplane/client.ts';
import { createLog } from '../../control/log.ts';
import { bytesOf } from '../../control/validate.ts';
import { wipe } from '../../util/bytes.ts';
import { PlainError, errorText } from '../../util/errors.ts';
import { Api } from '../api.ts';
import { Daemon } from './daemon.ts';
import { openNetwork } from '../network/routes.ts';
import { Resolver } from '../network/resolver.ts';
import { Server } from './server.ts';
import { ask } from './socket.ts';
import { chooseLocation } from '../state.ts';
import type { Location, Store } from '../state.ts';
import { Tunnel } from './tunnel.ts';

export type LaunchOptions = {
  readonly ifname?: string;
  readonly tunDevice?: string;
  readonly debug: boolean;
};

const readyWithinMs = 20_000;
const readyVariable = 'SALLYPORT_READY_FD';

/** Brings the tunnel up in the background; resolves to its status. */
export async function launch(
  store: Store,
  location: Location,
  options: LaunchOptions,
): Promise<Record<string, unknown>> {
  const logFile = store.logFile(location);
  const log = openSync(logFile, 'a', 0o600);
  const args = [
    'up',
    location.id,
    '--foreground',
    '--state',
    store.dir,
    '--log-level',
    options.debug ? 'debug' : 'info',
  ];
  if (options.ifname !== undefined) args.push('--interface', options.ifname);
  if (options.tunDevice !== undefined) args.push('--tun-device', options.tunDevice);
  const child = spawn(process.execPath, [...process.execArgv, entry(), ...args], {
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    env: { ...process.env, [readyVariable]: '3' },
  });
  closeSync(log);
  const pipe = child.stdio[3] as NodeJS.ReadableStream;
  const word = await new Promise<string>((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(
        new PlainError('not-ready', `the tunnel was not up within ${readyWithinMs / 1000} s: see ${logFile}`),
      );
    }, readyWithinMs);
    child.once('error', error => {
      clearTimeout(timer);
      reject(new PlainError('not-started', `cannot start the tunnel: ${errorText(error)}`, 1, error));
    });
    pipe.on('data', (part: Uint8Array) => (said += Buffer.from(part).toString('utf8')));
    pipe.once('end', () => {
      clearTimeout(timer);
      resolve(said);
    });
  });
  child.unref();
  let answer: { status?: Record<string, unknown>; error?: { code: string; message: string; exit: 1 | 2 } };
  try {
    answer = JSON.parse(word) as typeof answer;
  } catch {
    throw new PlainError('not-started', `the tunnel stopped before it was up: see ${logFile}`);
  }
  if (answer.status === undefined)
    throw new PlainError(
      answer.error?.code ?? 'not-started',
      answer.error?.message ?? `see ${logFile}`,
      answer.error?.exit ?? 1,
    );
  return answer.status;
}

/** Runs the tunnel in this process until it is told to stop. The launching process hears of every failure. */
export async function runForeground(
  store: Store,
  wanted: string | undefined,
  options: LaunchOptions,
): Promise<void> {
  try {
    await foreground(store, wanted, options);
  } catch (error) {
    const { code, exit } = error instanceof PlainError ? error : { code: 'failed', exit: 1 };
    tellParent({ error: { code, message: errorText(error), exit } });
    throw error;
  }
}

async function foreground(store: Store, wanted: string | undefined, options: LaunchOptions): Promise<void> {
  const state = store.load();
  const location = chooseLocation(state, wanted);
  if ((await ask(store.socketFile(location), { op: 'status' })) !== null)
    throw new PlainError('already-up', `${location.name} is up already: run 'sallyport down' first`);
  const log = createLog({ level: options.debug ? 'debug' : 'info' });
  const ifname = options.ifname ?? interfaceNames(state.enrolled.locations).get(location.id)!;
  // The socket of a tunnel that was killed: it did not answer before this point.
  rmSync(store.socketFile(location), { force: true });
  const network = await openNetwork(ifname);
  const link = await startDataplane({
    ifname,
    mtu: location.config.mtu,
    ...(options.tunDevice === undefined ? {} : { tunDevice: options.tunDevice }),
    linkUp: true,
  });
  link.onEvent(event => {
    if (event.ev === 'fatal') log.error(`data plane: ${event.message}`);
    else if (event.ev === 'log') log.at(event.level, event.message);
  });
  const privateKey = bytesOf(state.privateKey);
  const tunnel = await Tunnel.open(ifname, location.config, privateKey, link, network);
  wipe(privateKey);
  const daemon = new Daemon({
    tunnel,
    server: new Server(new Api(state.proxy, state), state, location),
    location: location.name,
    resolver: new Resolver(ifname),
    log: line => log.info(line),
  });
  try {
    await daemon.listen(store.socketFile(location));
  } catch (error) {
    await daemon.stop(); // the data plane's thread would keep this process alive
    throw error;
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.once(signal, () => void daemon.leave());
  void link.closed.then(() => daemon.stop());
  log.info(`${location.name} is up on ${tunnel.ifname}`);
  tellParent({ status: await daemon.status() });
  await daemon.closed;
}

function tellParent(word: unknown): void {
  const fd = Number(process.env[readyVariable]);
  if (!Number.isInteger(fd) || fd < 3) return;
  delete process.env[readyVariable];
  try {
    writeSync(fd, JSON.stringify(word));
    closeSync(fd);
  } catch {
    // the parent gave up waiting
  }
}

/** From source the program is another file; the bundle is itself. */
function entry(): string {
  const here = import.meta.url;
  return fileURLToPath(here.endsWith('.ts') ? new URL('../../main.ts', here) : here);
}

/** By location id: `sp-` and what the kernel accepts of the name; names that would be alike get a mark of their location's id. */
export function interfaceNames(
  locations: readonly Pick<Location, 'id' | 'name'>[],
): ReadonlyMap<string, string> {
  const plain = locations.map(({ name }) => plainName(name));
  const names = new Map<string, string>();
  const taken = new Set<string>();
  const inOrder = [...locations.entries()].sort(([, a], [, b]) => (a.id < b.id ? -1 : 1));
  for (const [index, { id }] of inOrder) {
    const own = plain[index]!;
    let name = `sp-${own}`;
    const isShared = plain.indexOf(own) !== plain.lastIndexOf(own);
    for (let salt = 0; isShared && (salt === 0 || taken.has(name)); salt++) name = markedName(own, id, salt);
    taken.add(name);
    names.set(id, name);
  }
  return names;
}

/** At most 12 characters and without a dash, so no plain name is another location's marked one. */
function plainName(location: string): string {
  const plain = location
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '')
    .slice(0, 12);
  return plain || 'vpn';
}

function markedName(plain: string, id: string, salt: number): string {
  const mark = createHash('sha256').update(`${id} ${salt}`).digest('hex').slice(0, 4);
  return `sp-${plain.slice(0, 7)}-${mark}`;
}
