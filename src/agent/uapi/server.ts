// The UAPI socket (U1–U5, L5, L6): what `wg` and `wg-quick` talk to. One unix stream socket per interface under
// /var/run/wireguard, readable by its owner only; removing the file stops the daemon, as with wireguard-go.
// Text is `parse.ts`; this file is sockets, order and limits. It never logs a line it read: lines carry keys.

import { chmodSync, lstatSync, mkdirSync, renameSync, rmSync, unlinkSync, watch } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { PlainError } from '../../util/errors.ts';
import { atEnd } from '../../util/scope.ts';
import type { Link } from '../dataplane/commands.ts';
import { errno, type Errno, formatState, SetParser } from './parse.ts';

export const uapiDirectory = '/var/run/wireguard';

/** As bufio.MaxScanTokenSize: a longer line is an I/O error, not memory. */
const maxLineBytes = 64 * 1024;
const maxConnections = 128;

export interface UapiOptions {
  readonly ifname: string;
  readonly link: Pick<Link, 'request'>;
  readonly directory?: string;
  /** A socket that already listens (WG_UAPI_FD). */
  readonly fd?: number;
  /**
   * The agent owns its peers: a `wg set` beside it could let in a peer without a grant. Reading stays allowed, without the
   * PSKs of sessions; setting is answered with EPERM.
   */
  readonly readOnly?: boolean;
  /** The socket file vanished, or the socket failed: the daemon should end. */
  readonly onGone: (why: string) => void;
}

export class Uapi {
  readonly path: string;
  readonly #options: UapiOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stopWatching = (): void => undefined;
  #inode = -1;
  /** Sets of all connections are applied one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: UapiOptions) {
    this.#options = options;
    this.path = uapiPath(options.ifname, options.directory);
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket));
    this.#server.maxConnections = maxConnections;
  }

  static async listen(options: UapiOptions): Promise<Uapi> {
    const uapi = new Uapi(options);
    if (options.fd !== undefined) await uapi.#listen({ fd: options.fd });
    else {
      mkdirSync(dirname(uapi.path), { recursive: true, mode: 0o755 });
      await refuseServed(uapi.path);
      // `wg` removes every *.sock that refuses a connection, as one does between bind and listen: it gets its name when it answers.
      const born = `${uapi.path}.${process.pid}`;
      rmSync(born, { force: true });
      await uapi.#listen({ path: born });
      try {
        chmodSync(born, 0o600);
        renameSync(born, uapi.path);
      } catch (error) {
        await uapi.close();
        throw error;
      }
    }
    uapi.#watch();
    return uapi;
  }

  /** Ends all conversations and removes the socket file. */
  async close(): Promise<void> {
    this.#stopWatching();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise(resolve => this.#server.close(resolve)); // libuv unlinks the path it bound, not one inherited
    if (this.#inode >= 0 && inode(this.path) === this.#inode) unlinkSync(this.path);
  }

  #listen(where: { path: string } | { fd: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      const umask = process.umask(0o077); // created as 0600: no connection is possible before a chmod
      using _end = atEnd(() => process.umask(umask));
      this.#server.listen(where, () => {
        this.#server.off('error', reject);
        this.#server.on('error', error => this.#options.onGone(error.message));
        resolve();
      });
    });
  }

  #watch(): void {
    this.#inode = inode(this.path);
    if (this.#inode < 0) return; // an inherited socket need not be where we expect it
    const look = (): void => {
      if (inode(this.path) === this.#inode) return;
      this.#stopWatching();
      this.#options.onGone(`${this.path} was removed`);
    };
    try {
      const watcher = watch(dirname(this.path), { persistent: false }, look);
      watcher.on('error', look);
      this.#stopWatching = () => watcher.close();
    } catch {
      const timer = setInterval(look, 1000).unref(); // no inotify instance left
      this.#stopWatching = () => clearInterval(timer);
    }
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy()); // the client went away; its changes stay
    void this.#converse(new Lines(socket), socket).finally(() => socket.end());
  }

  async #converse(lines: Lines, socket: Socket): Promise<void> {
    for (;;) {
      const operation = await lines.next();
      if (operation === 'set=1') {
        const code = await this.#set(lines);
        answer(socket, '', code);
      } else if (operation === 'get=1') {
        const after = await lines.byte();
        if (after === null) return;
        if (after !== '\n') answer(socket, '', errno.invalid);
        else await this.#get(socket);
      } else return; // end, too long or unknown: closed without an answer (U4)
    }
  }

  async #get(socket: Socket): Promise<void> {
    try {
      const state = await this.#options.link.request({ op: 'state' });
      answer(socket, formatState(state, this.#options.readOnly !== true), errno.ok);
    } catch {
      answer(socket, '', errno.io);
    }
  }

  /** Reads to the blank line (or the end of input) and applies on the way. */
  async #set(lines: Lines): Promise<number> {
    const parser = new SetParser();
    for (;;) {
      const line = await lines.nextScanned();
      if (line === null || line === '') return this.#apply(parser, true);
      const code = line === tooLong ? errno.io : parser.accept(line);
      if (code !== errno.ok) {
        const earlier = await this.#apply(parser, true);
        lines.skipOperation();
        return earlier === 0 ? code : earlier;
      }
      if (!parser.isFull) continue;
      const applied = await this.#apply(parser, false);
      if (applied === 0) continue;
      lines.skipOperation();
      return applied;
    }
  }

  async #apply(parser: SetParser, all: boolean): Promise<number> {
    const changes = parser.take(all);
    if (this.#options.readOnly === true) return errno.perm;
    const mine = this.#turn.then(async (): Promise<number> => {
      for (const change of changes) {
        const result = await this.#options.link.request({ op: 'configure', change });
        if (result.errno !== 0) return result.errno;
      }
      return errno.ok;
    });
    this.#turn = mine.catch(() => undefined);
    return mine.catch((): Errno => errno.io);
  }
}

export function uapiPath(ifname: string, directory: string = uapiDirectory): string {
  return join(directory, `${ifname}.sock`);
}

function answer(socket: Socket, text: string, code: number): void {
  socket.write(`${text}errno=${code}\n\n`, 'latin1');
}

const tooLong = Symbol('line too long');

/** Lines of a socket, pulled: nothing is read ahead of what the conversation has asked for by more than one chunk. */
class Lines {
  readonly #socket: Socket;
  #text = '';
  #at = 0;
  #ended = false;
  #isSkipping = false;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    const wake = (): void => {
      this.#wake?.();
      this.#wake = null;
    };
    socket.on('data', (chunk: Buffer) => {
      this.#text = this.#text.slice(this.#at) + chunk.toString('latin1');
      this.#at = 0;
      if (this.#text.length > maxLineBytes) socket.pause();
      wake();
    });
    for (const event of ['end', 'close'] as const) {
      socket.on(event, () => {
        this.#ended = true;
        wake();
      });
    }
  }

  /** A complete line, or null at the end or when it grows too long. */
  async next(): Promise<string | null> {
    const line = await this.nextScanned(false);
    return typeof line === 'string' ? line : null;
  }

  /** As Go's bufio.Scanner: a last line without newline counts, a carriage return before the newline does not. */
  async nextScanned(scanned = true): Promise<string | typeof tooLong | null> {
    for (;;) {
      const newline = this.#text.indexOf('\n', this.#at);
      if (newline >= 0 && newline - this.#at < maxLineBytes) {
        const line = this.#text.slice(this.#at, newline);
        this.#at = newline + 1;
        if (this.#isSkipping) {
          // The rest of a failed set runs to its blank line; a client that gave up starts anew instead.
          this.#isSkipping = line !== '' && line !== 'set=1' && line !== 'get=1';
          if (this.#isSkipping || line === '') continue;
        }
        return scanned && line.endsWith('\r') ? line.slice(0, -1) : line;
      }
      if (newline >= 0 || this.#text.length - this.#at >= maxLineBytes) {
        if (!this.#isSkipping) return tooLong;
        this.#at = newline >= 0 ? newline + 1 : this.#text.length;
        continue;
      }
      if (this.#ended) {
        const rest = this.#text.slice(this.#at);
        this.#at = this.#text.length;
        return scanned && rest !== '' ? rest : null;
      }
      await this.#more();
    }
  }

  async byte(): Promise<string | null> {
    while (this.#at >= this.#text.length) {
      if (this.#ended) return null;
      await this.#more();
    }
    return this.#text[this.#at++]!;
  }

  /** What is left of the current operation is not for the next one. */
  skipOperation(): void {
    this.#isSkipping = true;
  }

  #more(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
      this.#socket.resume();
    });
  }
}

/** Removes a socket file that a crash left; one that accepts connections is an error. */
/** A socket that refuses connections is stale, and replaced. */
async function refuseServed(path: string): Promise<void> {
  const isServed = await new Promise<boolean>(resolve => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (!isServed) return;
  throw new PlainError(
    'uapi-in-use',
    `${path}: unix socket in use: another process serves this interface; stop it or choose another name`,
  );
}

function inode(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? -1;
}
