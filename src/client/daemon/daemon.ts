// Daemon: the process in which the tunnel lives. It answers the control socket, follows the session at Core and takes the
// PSK out of the tunnel the moment the session is over. It is the only holder of the PSK on this machine.

import type { Server as SocketServer } from 'node:net';
import { stepAnswer } from '../../control/clientapi/bodies.ts';
import type { SessionInfo } from '../../control/clientapi/bodies.ts';
import type { EndReason } from '../../control/clientapi/reasons.ts';
import { base64, bytesOf, check, object } from '../../control/validate.ts';
import { PlainError, errorText } from '../../util/errors.ts';
import { Refused } from '../api.ts';
import type { Server } from './server.ts';
import { EventParser, SessionTruth, sessionLine } from './session.ts';
import type { Resolver } from '../network/resolver.ts';
import { listen } from './socket.ts';
import type { Request } from './socket.ts';
import type { Tunnel } from './tunnel.ts';

/** How long a login waits for the first handshake before it says that the gateway is silent. */
const handshakeWithinMs = 10_000;
/** And how long it waits for one gateway where there are others. */
const nextAfterMs = 3000;
/** The gateway's clock of the handshake may be this much ahead of what we saw of it. */
const staleSlackMs = 5000;
/** How long the keys of a superseded session stay for the login that replaced it to take over; the gateway lets them live longer. */
const takeOverWithinMs = 15_000;

const heldBack = '; all traffic is held back until you log in or take the tunnel down';

export interface DaemonOptions {
  readonly tunnel: Tunnel;
  readonly server: Server;
  readonly location: string;
  readonly resolver: Pick<Resolver, 'use' | 'drop'>;
  readonly log: (line: string) => void;
  readonly wallMs?: () => number;
}

export class Daemon {
  readonly #tunnel: Tunnel;
  readonly #server: Server;
  readonly #location: string;
  readonly #resolver: Pick<Resolver, 'use' | 'drop'>;
  readonly #log: (line: string) => void;
  readonly #wallMs: () => number;
  readonly #truth = new SessionTruth();
  readonly #timer: NodeJS.Timeout;
  /** Resolves when the tunnel is down. */
  readonly closed: Promise<void>;
  #close: () => void = () => {};
  #session: SessionInfo | null = null;
  #following: AbortController | null = null;
  #socket: SocketServer | null = null;
  #isStopping = false;

  constructor(options: DaemonOptions) {
    this.#tunnel = options.tunnel;
    this.#server = options.server;
    this.#location = options.location;
    this.#resolver = options.resolver;
    this.#log = options.log;
    this.#wallMs = options.wallMs ?? Date.now;
    this.#timer = setInterval(() => void this.tick(), 1000);
    this.closed = new Promise(resolve => (this.#close = resolve));
  }

  async listen(path: string): Promise<void> {
    this.#socket = await listen(path, request => this.handle(request));
  }

  async handle(request: Request): Promise<Record<string, unknown>> {
    switch (request.op) {
      case 'status':
        return await this.status();
      case 'begin':
        return await this.#begin(request);
      case 'release':
        // A login is about to begin: it needs a way to the Proxy and to a name server.
        if (this.#truth.view.phase !== 'live') this.#tunnel.release();
        return {};
      case 'rekey':
        await this.#tunnel.rekey();
        return {};
      case 'logout':
        return await this.logout();
      case 'down': {
        const told = this.#truth.view.phase === 'live' ? await this.logout() : {};
        // The answer goes out before the socket closes.
        setImmediate(() => void this.stop());
        return told;
      }
      default:
        throw new PlainError(
          'unknown-request',
          `the running tunnel does not know '${request.op}': is it an older version? Run 'sallyport down' and 'up'`,
        );
    }
  }

  async status(): Promise<Record<string, unknown>> {
    const now = this.#wallMs();
    const { lastHandshakeWallMs, ...tunnel } = await this.#tunnel.state();
    const isHolding = this.#tunnel.isHolding && this.#truth.view.phase !== 'live';
    return {
      location: this.#location,
      interface: this.#tunnel.ifname,
      pid: process.pid,
      ...tunnel,
      handshakeAgeMs: lastHandshakeWallMs === 0 ? null : now - lastHandshakeWallMs,
      session: this.#truth.view,
      holding: isHolding,
      text: `${sessionLine(this.#truth.view, now)}${isHolding ? heldBack : ''}`,
    };
  }

  /** Tells Core, and forgets the PSK whether or not Core could be told. */
  async logout(): Promise<Record<string, unknown>> {
    const { phase } = this.#truth.view;
    if (phase !== 'live' || this.#session === null)
      throw new PlainError(
        'not-logged-in',
        `${this.#location}: ${sessionLine(this.#truth.view, this.#wallMs())}`,
      );
    const { id, stale } = this.#session;
    let told: Record<string, unknown> = { told: true };
    try {
      await this.#server.logout(id);
    } catch (error) {
      told = {
        told: false,
        note: `Core could not be told (${errorText(error)}): the gateway ends the session by itself within ${stale} s`,
      };
    }
    await this.#ended('logout-user');
    return told;
  }

  /** Told to end from outside: without this process the session is of no use, so Core hears of it first. */
  async leave(): Promise<void> {
    if (this.#truth.view.phase === 'live') await this.logout();
    await this.stop();
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    clearInterval(this.#timer);
    this.#following?.abort();
    this.#socket?.close();
    await this.#resolver.drop();
    await this.#tunnel.close();
    this.#log('tunnel down');
    this.#close();
  }

  /** Once a second: ends that follow from the clock. */
  async tick(): Promise<void> {
    const { view } = this.#truth;
    const now = this.#wallMs();
    if (view.phase === 'ended' && now - (view.endedWallMs ?? 0) > takeOverWithinMs) {
      await this.#tunnel.end();
      await this.#resolver.drop();
    }
    if (view.phase !== 'live' || this.#session === null) return;
    if (this.#truth.tick(now)) return await this.#over();
    if (view.following) return;
    // Without news from Core, an old handshake is proof enough: the gateway's own deadline has passed.
    const { lastHandshakeWallMs } = await this.#tunnel.state();
    const since = lastHandshakeWallMs === 0 ? (view.sinceWallMs ?? now) : lastHandshakeWallMs;
    if (now - since > this.#session.stale * 1000 + staleSlackMs) await this.#ended('stale');
  }

  async #begin(request: Request): Promise<Record<string, unknown>> {
    const psk = check(pskShape, request);
    const granted = check(stepAnswer, request.granted);
    if (!psk.ok || !granted.ok || 'step' in granted.value)
      throw new PlainError('bad-request', 'begin: a PSK and a granted session are expected');
    const { session, token, config } = granted.value;
    const started = performance.now();
    const before = (await this.#tunnel.state()).lastHandshakeWallMs;
    await this.#tunnel.begin(bytesOf(psk.value.psk), config, await this.#server.addresses());
    this.#following?.abort();
    this.#session = session;
    this.#truth.granted(session, this.#wallMs());
    this.#log(`session ${session.id} begins`);
    void this.#follow(session.id, token);
    const deadline = started + handshakeWithinMs;
    let nextAt = started + nextAfterMs;
    while (performance.now() < deadline) {
      if (performance.now() > nextAt) {
        nextAt += nextAfterMs;
        if (await this.#tunnel.next()) this.#log('the gateway is silent: trying the next');
      }
      const { lastHandshakeWallMs } = await this.#tunnel.state();
      if (lastHandshakeWallMs !== 0 && lastHandshakeWallMs !== before)
        return {
          handshake: true,
          handshakeMs: performance.now() - started,
          ...(await this.#lookUp(config.dns)),
        };
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    return { handshake: false };
  }

  /** The tunnel works without name servers, so a failure is only reported. */
  async #lookUp(servers: readonly string[]): Promise<{ note?: string }> {
    try {
      await this.#resolver.use(servers);
      if (this.#truth.view.phase === 'ended') await this.#resolver.drop(); // meanwhile
      return {};
    } catch (error) {
      this.#log(errorText(error));
      return { note: errorText(error) };
    }
  }

  /** Reads Core's events for as long as the session lives, over as many connections as it takes. */
  async #follow(id: string, token: string): Promise<void> {
    const abort = new AbortController();
    this.#following = abort;
    const isOurs = (): boolean =>
      !abort.signal.aborted && this.#truth.view.phase === 'live' && this.#truth.view.id === id;
    for (let attempt = 0; isOurs(); attempt++) {
      try {
        const parser = new EventParser();
        for await (const part of await this.#server.events(token, abort.signal)) {
          if (!isOurs()) return;
          this.#truth.following(true);
          attempt = 0;
          const events = parser.feed(part);
          if (events === null) break;
          for (const event of events) {
            if (event.event === 'warn') this.#log(`session ${id}: ${event.secondsLeft} s left`);
            if (this.#truth.receive(event, this.#wallMs())) return await this.#over();
          }
        }
      } catch (error) {
        if (!isOurs()) return;
        if (error instanceof Refused && error.status === 401) return await this.#ended(null);
        this.#log(`no news of session ${id}: ${errorText(error)}`);
      }
      if (!isOurs()) return;
      this.#truth.following(false);
      await new Promise(resolve =>
        setTimeout(resolve, Math.min(15_000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2)),
      );
    }
  }

  async #ended(reason: EndReason | null): Promise<void> {
    if (this.#truth.ended(reason, this.#wallMs())) await this.#over();
  }

  async #over(): Promise<void> {
    const { view } = this.#truth;
    this.#following?.abort();
    this.#session = null;
    this.#log(sessionLine(view, this.#wallMs()));
    // A login of this very device has replaced it and is about to bring its PSK: until then the old keys still work.
    if (view.reason === 'superseded') return;
    await this.#tunnel.end();
    if (view.reason === 'logout-user') this.#tunnel.release();
    await this.#resolver.drop();
  }
}

const pskShape = object({ psk: base64(32) });
