// Core put together: store, sessions, login flow, client API, agent listener, relays and the clock that drives them. The only
// file that knows them all. `command.ts` starts it for people, tests start it in process.

import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Log } from '../control/log.ts';
import type { TlsFiles } from '../control/wire/server.ts';
import { Agents } from './agents/listener.ts';
import { Api } from './api/clientapi.ts';
import type { ApiOptions, ApiReply, ApiRequest } from './api/clientapi.ts';
import { Flow } from './login/flow.ts';
import type { Mailer } from './methods/mailer.ts';
import type { Random } from './ids.ts';
import { Relay } from './api/relay.ts';
import { processFacts } from '../control/processfacts.ts';
import { RequestCounts } from '../control/wire/requestcounts.ts';
import { coreMetrics } from './metrics.ts';
import { Sessions } from './sessions/sessions.ts';
import type { Session } from './store/sessions.ts';
import type { Store } from './store/store.ts';
import { withoutTrouble } from './store/trouble.ts';

export interface CoreOptions {
  readonly store: Store;
  readonly log: Log;
  readonly clock?: () => number;
  readonly random?: Random;
  readonly agentTls?: TlsFiles | undefined;
  readonly mailer?: Mailer | null;
  readonly holdUntil?: NonNullable<ApiOptions['holdUntil']>;
}

const tickEveryMs = 250;
const sweepEveryMs = 60_000;
const probeEveryMs = 1000;
/** The event loop stands still meanwhile. */
const lockWaitMs = 250;

export class Core {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly flow: Flow;
  readonly api: Api;
  readonly clock: () => number;
  readonly random: Random;
  readonly log: Log;
  readonly #agents: Agents;
  readonly #mailer: Mailer | null;
  readonly #relays: Relay[] = [];
  readonly #requests = new RequestCounts();
  #ticker: NodeJS.Timeout | null = null;
  #sweptAt = 0;
  #probedAt = 0;
  #troubled = false;

  constructor(options: CoreOptions) {
    const { store, log } = options;
    const clock = options.clock ?? Date.now;
    const random = options.random ?? (bytes => new Uint8Array(randomBytes(bytes)));
    this.store = store;
    store.db.waitForLock(lockWaitMs);
    this.log = log;
    this.clock = clock;
    this.random = random;
    this.#mailer = options.mailer ?? null;
    this.sessions = new Sessions({ store, clock, random, log });
    this.flow = new Flow({
      store,
      sessions: this.sessions,
      clock,
      random,
      log,
      mailer: this.#mailer,
    });
    const { sessions, flow } = this;
    const hold = options.holdUntil === undefined ? {} : { holdUntil: options.holdUntil };
    this.api = new Api({ store, sessions, flow, clock, random, log, ...hold });
    this.#agents = new Agents({ store, sessions, clock, random, log, tls: options.agentTls });
  }

  async listen(at: { host: string; port: number }): Promise<AddressInfo> {
    const address = await this.#agents.listen(at);
    this.#ticker = setInterval(() => this.tick(), tickEveryMs);
    return address;
  }

  /** The agents' listener presents what `read` gives from each SIGHUP on. */
  renewOnHangup(read: () => TlsFiles | undefined): void {
    this.#agents.renewOnHangup(read);
  }

  /** Connects out to a Proxy. */
  relayTo(url: string, token: string, ca?: string): void {
    const relay = new Relay({
      api: { handle: request => this.#answer(request) },
      url,
      token,
      ca,
      log: this.log,
    });
    this.#relays.push(relay);
    relay.start();
  }

  async metrics(): Promise<string> {
    const { store, sessions } = this;
    const places = store.places.locations();
    const live = store.sessions.live();
    return coreMetrics({
      agents: places.map(({ id, name }) => ({
        location: name,
        known: store.places.agents(id).length,
        connected: sessions.hub.connected(id).length,
      })),
      sessions: places.flatMap(({ id, name }) =>
        (['pending', 'active', 'confirmed'] as const).map(state => ({
          location: name,
          state,
          count: live.filter(session => session.location === id && stateOf(session) === state).length,
        })),
      ),
      users: store.people.users().length,
      devices: store.people.deviceCount,
      proxies: {
        configured: this.#relays.length,
        connected: this.#relays.filter(relay => relay.isConnected).length,
      },
      ...sessions.counts,
      requests: { counts: this.#requests.samples(), seconds: this.#requests.seconds() },
      auditRecords: store.audit.entries(1)[0]?.seq ?? 0,
      process: await processFacts(),
    });
  }

  /** Why no login can be answered now, or null. */
  notReady(): string | null {
    const { trouble } = this.store.db;
    if (trouble !== null) return trouble.message;
    const away = this.#relays.length > 0 && !this.#relays.some(relay => relay.isConnected);
    return away ? 'no Proxy is connected' : null;
  }

  async #answer(request: ApiRequest): Promise<ApiReply> {
    const began = performance.now();
    const reply = await this.api.handle(request);
    const status = 'status' in reply ? String(reply.status) : '200';
    const path = status === '404' ? 'other' : request.path;
    this.#requests.add(path, status, (performance.now() - began) / 1000);
    return reply;
  }

  tick(): void {
    const now = this.clock();
    withoutTrouble(() => this.#work(now));
    this.#watchStore(now);
  }

  #work(now: number): void {
    this.sessions.tick(now);
    this.#agents.tick();
    if (Math.abs(now - this.#sweptAt) < sweepEveryMs) return;
    this.#sweptAt = now;
    this.store.logins.sweep(now);
    this.store.sessions.sweep(now);
  }

  /** Says once that the database has a fault, and once that it works again. */
  #watchStore(now: number): void {
    const { db } = this.store;
    if (db.trouble !== null && Math.abs(now - this.#probedAt) >= probeEveryMs) {
      this.#probedAt = now;
      withoutTrouble(() => db.probe());
    }
    const { trouble } = db;
    if ((trouble !== null) === this.#troubled) return;
    this.#troubled = trouble !== null;
    if (trouble === null) this.log.info('the database works again');
    else
      this.log.error('no logins until the database works again', { why: trouble.code, do: trouble.message });
  }

  /** Sessions are left as they are: agents carry them on, and the next Core finds them in the store. */
  async close(): Promise<void> {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    for (const relay of this.#relays) relay.stop();
    this.#mailer?.close();
    await this.#agents.close();
    this.store.close();
  }
}

function stateOf({ status, confirmedAt }: Session): 'pending' | 'active' | 'confirmed' {
  if (status === 'pending') return 'pending';
  return confirmedAt === null ? 'active' : 'confirmed';
}
