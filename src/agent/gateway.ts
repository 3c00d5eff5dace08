// The gateway put together: identity, data plane, interface, admission, UAPI, status and the channel to Core, in the order in
// which each can stand without the next. It ends when told to, or when the data plane is gone; stopping ends no session.

import { mkdirSync, readFileSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import type { AgentConfig as CoreAgentConfig } from '../control/wire/agentchannel.ts';
import { backoffMs } from '../control/wire/backoff.ts';
import type { LocalPolicy } from '../control/trust/grant.ts';
import type { Log } from '../control/log.ts';
import { toBase64, toHex } from '../util/bytes.ts';
import { errorText, PlainError, usageError } from '../util/errors.ts';
import { checkSocketPath } from '../util/socketpath.ts';
import type { IpPrefix } from '../util/inet.ts';
import { Admission } from './control/admission.ts';
import { Health, stateOf } from './health/health.ts';
import { type AgentConfig, fixedChanges } from './config/config.ts';
import { CoreChannel } from './control/corechannel.ts';
import { CoreClock } from './control/coreclock.ts';
import { join } from './control/join.ts';
import { GrantStore } from './control/grantstore.ts';
import {
  dropEnrolment,
  type Enrolment,
  type Identity,
  loadEnrolment,
  loadIdentity,
  saveConfig,
  saveEnrolment,
} from './control/identity.ts';
import type { Link, SessionEvent } from './dataplane/commands.ts';
import type { Host } from './host.ts';
import { Network } from './routes.ts';
import type { StatusReport } from './health/statusreport.ts';
import { hostAddress } from './config/optiontypes.ts';
import { statusSocket } from './health/statuscommand.ts';
import { StatusServer } from './health/statusserver.ts';
import { Uapi } from './uapi/server.ts';

/** No clock that shows less is right: the first release. */
const releaseMs = Date.UTC(2026, 0, 1);

export class Gateway {
  readonly #log: Log;
  readonly #host: Host;
  #config: AgentConfig;
  #stop!: (why: string) => void;
  readonly #stopped: Promise<string>;
  #isStopping = false;
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #sessionListeners = new Set<(event: SessionEvent) => void>();
  #network: Network | null = null;
  #coreConfig!: CoreAgentConfig;
  #link!: Link;
  #ifname = '';
  #core!: CoreChannel;
  #admission!: Admission;
  #clock!: CoreClock;
  #health!: Health;
  #enrolment!: Enrolment;
  metricsPort = 0;

  private constructor(config: AgentConfig, log: Log, host: Host) {
    this.#config = config;
    this.#log = log;
    this.#host = host;
    this.#stopped = new Promise(resolve => (this.#stop = resolve));
  }

  /** Resolves when the gateway is at work. On failure everything opened is closed again. */
  static async start(
    config: AgentConfig,
    log: Log,
    host: Host,
    onGateway?: (gateway: Gateway) => void,
  ): Promise<Gateway> {
    const gateway = new Gateway(config, log, host);
    onGateway?.(gateway);
    try {
      await gateway.#open();
    } catch (error) {
      await gateway.#close();
      throw error;
    }
    return gateway;
  }

  /** Ends the gateway; `finished` tells when it is done. */
  stop(why: string): void {
    this.#isStopping = true;
    this.#stop(why);
  }

  /** What the gateway says of itself, for the bus and the service manager. */
  report(): Promise<StatusReport> {
    return this.#health.status();
  }

  /** Whether the data plane answers. */
  async isWell(): Promise<boolean> {
    return (await this.#health.health()).ok;
  }

  /** Ends one session, named by its id or its device's key in base64. Core hears of it as of any other end. */
  async logout(session: string): Promise<boolean> {
    const peer = (await stateOf(this.#link)).peers.find(
      ({ publicKey, session: held }) =>
        held !== null && (held.id === session || toBase64(publicKey) === session),
    );
    if (peer === undefined) return false;
    const device = toHex(peer.publicKey);
    return (await this.#link.request({ op: 'revoke', device, reason: 'revoked-admin' })).revoked;
  }

  /** Returns the function that stops listening. */
  onSession(listener: (event: SessionEvent) => void): () => void {
    this.#sessionListeners.add(listener);
    return () => this.#sessionListeners.delete(listener);
  }

  /** Resolves with the reason when everything is closed. */
  async finished(): Promise<string> {
    const why = await this.#stopped;
    this.#log.info('stopping', { why });
    await this.#close();
    return why;
  }

  /** What a HUP may change. */
  async reload(config: AgentConfig): Promise<void> {
    const before = this.#config;
    for (const name of fixedChanges(before, config))
      this.#log.warn(`${name} has changed: it takes effect after a restart`);
    this.#config = { ...before, ...liveSettings(config) };
    if (config.listen_port !== before.listen_port) await this.#configure({ listenPort: config.listen_port });
    if (config.fwmark !== before.fwmark) await this.#configure({ fwmark: config.fwmark });
    this.#applyNetwork();
    this.#log.info('configuration reloaded');
  }

  async #open(): Promise<void> {
    const config = this.#config;
    const warn = (message: string): void => this.#log.warn(message);
    const ca = config.ca_file === '' ? undefined : readCa(config.ca_file);
    mkdirSync(config.state_dir, { recursive: true, mode: 0o700 });
    const identity = await loadIdentity(config.state_dir, config.allow_x25519, warn);
    this.#enrolment = loadEnrolment(config.state_dir, warn) ?? (await this.#enrol(identity, ca));
    this.#coreConfig = this.#enrolment.config;
    const store = GrantStore.load({
      path: joinPath(config.state_dir, 'grants.json'),
      agentId: this.#enrolment.agentId,
      warn,
    });
    this.#closers.push(() => store.flush());
    this.#clock = new CoreClock(this.#host.bootMs, this.#host.wallMs, Math.max(releaseMs, store.seenAt));
    if (this.#clock.wallMs === null)
      this.#log.warn('the system clock is not sane: no new sessions until Core or NTP tells the time');

    await this.#openDataplane(identity);
    this.#admission = new Admission({
      link: this.#link,
      store,
      identity,
      enrolment: this.#enrolment,
      clock: this.#clock,
      policy: () => this.#policy(),
      log: this.#log,
      onSession: event => this.#onSession(event),
    });
    this.#core = new CoreChannel({
      url: config.core_url,
      ca,
      identity,
      enrolment: this.#enrolment,
      admission: this.#admission,
      store,
      clock: this.#clock,
      log: this.#log,
      onConfig: coreConfig => this.#onCoreConfig(coreConfig, warn),
      state: () => stateOf(this.#link),
      maxLifeMs: () => this.#config.max_life,
      onForgotten: () => dropEnrolment(config.state_dir),
      ...(this.#host.delay !== undefined && { delay: this.#host.delay }),
    });
    this.#health = new Health({
      link: this.#link,
      ifname: this.#ifname,
      agent: this.#enrolment.agentId,
      core: this.#core,
      coreUrl: config.core_url,
      location: () => this.#coreConfig.name,
      admission: this.#admission,
      clock: this.#clock,
    });
    const resumed = await this.#admission.resume();
    if (resumed > 0) this.#log.info('sessions of before the restart go on', { sessions: resumed });
    await this.#openSockets();
    this.#closers.push(() => this.#core.stop());
    this.#core.start();
    this.#log.info('gateway up', {
      interface: this.#ifname,
      port: config.listen_port,
      agent: this.#enrolment.agentId,
    });
  }

  /** Once in the life of a gateway. A Core that cannot be reached is asked again; one that refuses ends the attempt. */
  async #enrol(identity: Identity, ca: string | undefined): Promise<Enrolment> {
    const { core_url, join_token, name, state_dir } = this.#config;
    if (join_token === '') {
      throw usageError(
        'not-enrolled',
        `${state_dir} holds no enrolment and no join token is given: make one with "sallyport core agent token LOCATION" and set SALLYPORT_JOIN_TOKEN_FILE`,
      );
    }
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await join({ coreUrl: core_url, ca, token: join_token, name, identity });
        this.#log.info('enrolled', { agent: answer.agentId, location: answer.location });
        return await saveEnrolment(state_dir, core_url, answer);
      } catch (error) {
        if (!(error instanceof PlainError) || error.code !== 'join-unreachable') throw error;
        const waitMs = this.#host.delay?.(attempt) ?? backoffMs(attempt, Math.random);
        this.#log.warn(error.message, { retryInMs: Math.round(waitMs) });
        await this.#pause(waitMs);
        if (this.#isStopping) throw new PlainError('stopped', 'stopped before the enrolment was done');
      }
    }
  }

  async #openDataplane(identity: Identity): Promise<void> {
    const config = this.#config;
    const dataplane = await this.#host.start({
      ifname: config.ifname,
      mtu: config.mtu || this.#coreConfig.mtu,
      tunDevice: config.tun_device,
      offload: config.offload,
      ffi: config.ffi,
      crypto: config.crypto,
      threads: config.threads,
      maxPeers: config.max_peers,
    });
    this.#closers.push(() => dataplane.stop());
    this.#link = dataplane;
    this.#ifname = dataplane.ready.ifname;
    this.#link.onEvent(event => {
      if (event.ev === 'log') this.#log.at(event.level, event.message);
      else if (event.ev === 'fatal') this.#log.error(event.message);
    });
    void dataplane.closed.then(() => {
      if (!this.#isStopping) this.#log.error('the data plane is gone: was the interface deleted?');
      this.#stop('the data plane is gone');
    });
    await this.#configure({ privateKey: identity.wireguard.privateKey });
    await this.#configure({ listenPort: config.listen_port });
    if (config.fwmark !== 0) await this.#configure({ fwmark: config.fwmark });
    if (config.configure_link && this.#host.kernel !== null) {
      this.#network = new Network(this.#host.kernel, this.#ifname, this.#log);
      this.#network.up();
      this.#applyNetwork();
    }
  }

  async #openSockets(): Promise<void> {
    const { uapi_dir, run_dir, metrics_listen } = this.#config;
    const uapi = await Uapi.listen({
      ifname: this.#ifname,
      link: this.#link,
      directory: uapi_dir,
      readOnly: true,
      onGone: why => this.#stop(why),
    });
    this.#closers.push(() => uapi.close());
    const server = await StatusServer.open({
      listen: metrics_listen,
      socketPath: checkSocketPath(joinPath(run_dir, statusSocket), 'run_dir'),
      sources: this.#health,
    });
    this.metricsPort = server.port;
    this.#closers.push(() => server.close());
  }

  async #configure(change: { privateKey?: Uint8Array; listenPort?: number; fwmark?: number }): Promise<void> {
    const { errno } = await this.#link.request({ op: 'configure', change: { ...change, peers: [] } });
    if (errno === 0) return;
    const [what] = Object.keys(change);
    throw new PlainError(
      'configure',
      what === 'listenPort'
        ? `UDP port ${change.listenPort} is in use: choose another listen_port`
        : `the data plane refuses ${what} (error ${errno})`,
    );
  }

  #onCoreConfig(coreConfig: CoreAgentConfig, warn: (message: string) => void): void {
    const isNew = JSON.stringify(coreConfig) !== JSON.stringify(this.#coreConfig);
    this.#coreConfig = coreConfig;
    if (!isNew) return;
    this.#log.info('Core has a new configuration for this location', { name: coreConfig.name });
    if (this.#config.mtu === 0) this.#network?.setMtu(coreConfig.mtu);
    this.#applyNetwork();
    saveConfig(this.#config.state_dir, coreConfig, warn).catch((error: unknown) =>
      this.#log.error(errorText(error)),
    );
  }

  #applyNetwork(): void {
    const { addresses, routes } = this.#config;
    this.#network?.apply(
      addresses.length > 0 ? addresses : this.#coreConfig.addresses.flatMap(parsed),
      routes,
    );
  }

  #onSession(event: SessionEvent): void {
    if (event.kind === 'ended') this.#health.note(event, this.#clock.wallMs ?? this.#host.wallMs());
    this.#core.onSession(event);
    for (const listener of this.#sessionListeners) listener(event);
  }

  #policy(): LocalPolicy {
    const { max_life, min_stale, ranges, max_peers } = this.#config;
    return { maxLifeMs: max_life, minStale: min_stale / 1000, ranges, maxPeers: max_peers };
  }

  /** A wait that a stop cuts short. */
  async #pause(ms: number): Promise<void> {
    let timer!: NodeJS.Timeout;
    await Promise.race([this.#stopped, new Promise<void>(resolve => (timer = setTimeout(resolve, ms)))]);
    clearTimeout(timer);
  }

  async #close(): Promise<void> {
    this.#isStopping = true;
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close();
      } catch (error) {
        this.#log.error('while stopping', { why: errorText(error) });
      }
    }
  }
}

function liveSettings(config: AgentConfig): Partial<AgentConfig> {
  const { listen_port, fwmark, addresses, routes, max_life, min_stale, ranges, max_peers, log_level } =
    config;
  return { listen_port, fwmark, addresses, routes, max_life, min_stale, ranges, max_peers, log_level };
}

function parsed(text: string): IpPrefix[] {
  const result = hostAddress.text(text);
  return result.ok ? [result.value] : [];
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw usageError('ca-file', `ca_file: ${path}: cannot be read: ${errorText(error)}`);
  }
}
