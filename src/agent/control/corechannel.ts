// The agent's end of the channel to Core (docs/protocol.md): proves both sides, takes the snapshot and the deltas after it,
// acknowledges, reports ends until they are noted, sends counters. Judges nothing (admission.ts does). A lost channel changes nothing:
// sessions go on to their own deadlines.

import { randomBytes } from 'node:crypto';
import { type Channel, CloseCode } from '../../control/wire/channel.ts';
import { Dialer } from '../../control/wire/dialer.ts';
import { signBytes, verifyBytes } from '../../control/trust/keys.ts';
import {
  type AgentConfig,
  type AgentFrame,
  agentProtocol,
  type CoreFrame,
  forgottenTranscript,
  helloTranscript,
  type LeasedGrant,
  readCoreFrame,
  type SessionStats,
  welcomeTranscript,
} from '../../control/wire/agentchannel.ts';
import { paths } from '../../control/clientapi/words.ts';
import { bytesOf } from '../../control/validate.ts';
import type { Log } from '../../control/log.ts';
import { toBase64, toHex } from '../../util/bytes.ts';
import { errorText } from '../../util/errors.ts';
import type { Admission } from './admission.ts';
import type { CoreClock } from './coreclock.ts';
import type { EndReport, GrantStore } from './grantstore.ts';
import type { Enrolment, Identity } from './identity.ts';
import type { DeviceState, SessionEvent } from '../dataplane/commands.ts';
import { version } from '../version.ts';

export interface CoreChannelOptions {
  /** `https://HOST:PORT`; the path is ours. */
  readonly url: string;
  readonly ca?: string | undefined;
  readonly identity: Identity;
  readonly enrolment: Enrolment;
  readonly admission: Admission;
  readonly store: GrantStore;
  readonly clock: CoreClock;
  readonly log: Log;
  readonly onConfig: (config: AgentConfig) => void;
  /** The data plane's peers, for counters. */
  readonly state: () => Promise<DeviceState>;
  readonly maxLifeMs: () => number;
  /** Core has removed this agent, and proved that it is Core; every session is over by then. */
  readonly onForgotten: () => Promise<void>;
  /** Replaced in tests. */
  readonly delay?: (attempt: number) => number;
}

type Frames = Channel<CoreFrame, AgentFrame>;

/** `away` → `opened` → `greeted` (hello sent) → `syncing` (welcome seen) → `synced`. */
export type CorePhase = 'away' | 'opened' | 'greeted' | 'syncing' | 'synced';

const zero = { rx: 0, tx: 0, handshakes: 0 };
export const statsEveryMs = 10_000;
const statsPerFrame = 256;
const refusedPerFrame = 512;
/** A wrong clock is worth telling only when it would matter to a person. */
const clockAlarmMs = 30_000;

export class CoreChannel {
  readonly bootId: string = toHex(new Uint8Array(randomBytes(16)));
  readonly #o: CoreChannelOptions;
  readonly #dialer: Dialer<CoreFrame, AgentFrame>;
  #channel: Frames | null = null;
  #phase: CorePhase = 'away';
  #nonce = '';
  /** The channel on which Core has proved its key last. */
  #provedBy: Frames | null = null;
  #agentConfigText = '';
  /** Frames are handled one after the other; a channel that has been replaced is not listened to any more. */
  #turn: Promise<void> = Promise.resolve();
  #snapshot: LeasedGrant[] = [];
  #expectedSeq = 0;
  #isResyncing = false;
  /** Counters as last told to Core, by device. */
  readonly #reported = new Map<string, { rx: number; tx: number; handshakes: number }>();
  #statsTimer: NodeJS.Timeout | null = null;
  lastError = '';
  connectedAtMs = 0;

  constructor(options: CoreChannelOptions) {
    this.#o = options;
    this.#dialer = new Dialer({
      url: options.url.replace(/^http/, 'ws') + paths.agentConnect,
      protocol: agentProtocol,
      ca: options.ca,
      read: readCoreFrame,
      opened: channel => this.#opened(channel),
      lost: (why, retryInMs) => {
        this.lastError = why;
        options.log.warn('no channel to Core', { why, retryInMs: Math.round(retryInMs) });
      },
      ...(options.delay !== undefined && { delay: options.delay }),
    });
  }

  start(): void {
    this.#statsTimer = setInterval(() => void this.tick(), statsEveryMs);
    this.#dialer.start();
  }

  stop(): void {
    if (this.#statsTimer !== null) clearInterval(this.#statsTimer);
    this.#dialer.stop(CloseCode.goingAway, 'the agent stops');
  }

  get phase(): CorePhase {
    return this.#phase;
  }

  get isConnected(): boolean {
    return this.#phase === 'syncing' || this.#phase === 'synced';
  }

  /** Connections after the first. */
  get reconnects(): number {
    return Math.max(0, this.#dialer.reconnects);
  }

  /** What the data plane said of a session. Ends are in the store by now and are repeated until Core has noted them. */
  onSession(event: SessionEvent): void {
    if (event.kind === 'ended') {
      if (event.reason !== 'superseded') this.#reported.delete(event.device);
      for (const report of this.#o.store.reports()) if (report.id === event.id) this.#reportEnd(report);
      return;
    }
    this.#send({
      type: 'session',
      id: event.id,
      event: event.kind,
      counters: event.counters,
      sinceHandshakeMs: Math.max(0, Math.round(event.sinceHandshakeMs)),
      ...(event.endpoint !== null && { endpoint: event.endpoint.slice(0, 64) }),
    });
  }

  /** Every ten seconds: counters to Core, and what has changed to the disk. */
  async tick(): Promise<void> {
    const { store, clock, log } = this.#o;
    try {
      if (clock.wallMs !== null) store.see(clock.wallMs, this.#o.maxLifeMs());
      await store.flush();
      if (this.isConnected) this.#sendStats(await this.#o.state());
    } catch (error) {
      log.error('housekeeping failed', { why: errorText(error) });
    }
  }

  #opened(channel: Frames): void {
    this.#channel = channel;
    this.#phase = 'opened';
    channel.handle({
      frame: frame => {
        if (frame.type === 'ping') {
          channel.send({ type: 'pong', n: frame.n });
          // Over months the crystal of a router drifts by minutes.
          if (this.isConnected && this.#channel === channel) this.#o.clock.learn(frame.time);
          return;
        }
        this.#turn = this.#turn.then(async () => {
          const isOver = this.#channel !== channel || !channel.isOpen;
          // An order to end a session holds, also when Core has hung up since: it may have removed this gateway.
          if (
            isOver &&
            !(frame.type === 'revoke' && this.#provedBy === channel) &&
            frame.type !== 'forgotten'
          )
            return;
          try {
            await (isOver ? this.#lastOrder(frame) : this.#receive(channel, frame));
          } catch (error) {
            this.#o.log.error('a frame of Core could not be handled', {
              type: frame.type,
              why: errorText(error),
            });
          }
        });
      },
      closed: (code, reason) => {
        if (this.#channel !== channel) return;
        this.#channel = null;
        this.#phase = 'away';
        if (code === CloseCode.unauthenticated)
          this.#o.log.error('Core does not accept this agent', { reason });
        else if (code === CloseCode.replaced)
          this.#o.log.error('another process connects as this agent: is the state directory shared?');
      },
    });
  }

  async #lastOrder(frame: CoreFrame): Promise<void> {
    if (frame.type === 'revoke')
      await this.#o.admission.revoke(frame.id, frame.device, frame.epoch, frame.reason);
    else if (frame.type === 'forgotten') await this.#forgotten(frame);
  }

  async #receive(channel: Frames, frame: Exclude<CoreFrame, { type: 'ping' }>): Promise<void> {
    switch (frame.type) {
      case 'forgotten':
        return this.#forgotten(frame);
      case 'challenge':
        return this.#phase === 'opened' ? this.#greet(channel, frame.nonce) : this.#misplaced(channel, frame);
      case 'welcome':
        return this.#phase === 'greeted' ? this.#welcome(channel, frame) : this.#misplaced(channel, frame);
      default:
        if (!this.isConnected) return this.#misplaced(channel, frame);
    }
    switch (frame.type) {
      case 'snapshot':
        this.#snapshot.push(...frame.grants);
        if (this.#snapshot.length > 65_536) channel.close(CloseCode.unexpected, 'snapshot without end');
        return;
      case 'snapshotEnd':
        return this.#sync(channel, frame.seq);
      case 'noted':
        return this.#o.store.noted(frame.id);
      case 'grant':
      case 'renew':
      case 'revoke':
      case 'config':
        if (this.#inSequence(frame.seq)) await this.#delta(frame);
        return;
      default:
        frame satisfies never;
    }
  }

  #greet(channel: Frames, challenge: string): void {
    const { enrolment, identity } = this.#o;
    this.#nonce = toBase64(new Uint8Array(randomBytes(32)));
    const hello = {
      agentId: enrolment.agentId,
      bootId: this.bootId,
      version,
      caps: [identity.kem.kem],
      nonce: this.#nonce,
    };
    const signature = signBytes(identity.sign.privateKey, helloTranscript(challenge, hello));
    channel.send({ type: 'hello', ...hello, signature: toBase64(signature) });
    this.#phase = 'greeted';
  }

  async #welcome(channel: Frames, frame: Extract<CoreFrame, { type: 'welcome' }>): Promise<void> {
    const { enrolment, clock, log, admission, store } = this.#o;
    const signed = welcomeTranscript(this.#nonce, enrolment.agentId, frame.time);
    const signature = bytesOf(frame.signature);
    if (!enrolment.coreKeys.some(key => verifyBytes(key, signed, signature))) {
      this.lastError = 'the other end is not the Core that this agent enrolled with';
      log.error(`${this.lastError}: nothing it sends is used`);
      channel.close(CloseCode.unauthenticated, 'not the pinned Core');
      return;
    }
    this.#provedBy = channel;
    const offMs = clock.learn(frame.time);
    if (Math.abs(offMs) > clockAlarmMs)
      log.warn('the system clock differs from Core: check NTP', { seconds: Math.round(offMs / 1000) });
    this.#phase = 'syncing';
    this.lastError = '';
    this.connectedAtMs = frame.time;
    this.#snapshot = [];
    this.#isResyncing = false;
    log.info('connected to Core', { agent: enrolment.agentId, location: enrolment.location });
    this.#configure(frame.config);
    await admission.resume(); // before the snapshot, which takes what is held for what is in force
    for (const report of store.reports()) this.#reportEnd(report);
  }

  async #forgotten(frame: Extract<CoreFrame, { type: 'forgotten' }>): Promise<void> {
    const { enrolment, admission, log } = this.#o;
    const signed = forgottenTranscript(this.#nonce, enrolment.agentId, frame.time);
    const signature = bytesOf(frame.signature);
    if (this.#nonce === '' || !enrolment.coreKeys.some(key => verifyBytes(key, signed, signature))) return;
    this.lastError = 'Core has removed this gateway';
    await admission.snapshot([]);
    await this.#o.onForgotten();
    log.error(
      'Core has removed this gateway and its sessions have ended: make a join token with "sallyport core agent token LOCATION", set SALLYPORT_JOIN_TOKEN_FILE and restart',
    );
  }

  async #sync(channel: Frames, seq: number): Promise<void> {
    const grants = this.#snapshot;
    this.#snapshot = [];
    this.#expectedSeq = seq + 1;
    this.#isResyncing = false;
    const { grants: accepted, refused } = await this.#o.admission.snapshot(grants);
    if (this.#channel !== channel) return; // lost meanwhile; the next one brings a snapshot of its own
    this.#send({ type: 'synced', seq, grants: accepted, refused: refused.slice(0, refusedPerFrame) });
    for (const { id, code } of refused.slice(refusedPerFrame)) this.#send({ type: 'refused', id, code });
    this.#phase = 'synced';
    this.#o.log.info('in step with Core', { grants: accepted, refused: refused.length });
  }

  /** A gap means something was missed: only a new snapshot tells the truth again. */
  #inSequence(seq: number): boolean {
    if (this.#isResyncing) return false;
    if (seq === this.#expectedSeq) {
      this.#expectedSeq++;
      return true;
    }
    this.#o.log.warn('a gap in what Core said', { expected: this.#expectedSeq, got: seq });
    this.#isResyncing = true;
    this.#snapshot = [];
    this.#send({ type: 'resync', seq: this.#expectedSeq - 1 });
    return false;
  }

  /** Admission keeps the order; the next frame does not wait for the disk, so that both share a write. */
  #answerLater(type: CoreFrame['type'], answer: Promise<void>): void {
    answer.catch((error: unknown) =>
      this.#o.log.error('a frame of Core could not be handled', { type, why: errorText(error) }),
    );
  }

  async #granted(frame: Extract<CoreFrame, { type: 'grant' }>): Promise<void> {
    const verdict = await this.#o.admission.grant(frame.grant, frame.until);
    if (verdict.ok) this.#send({ type: 'granted', id: verdict.id });
    else if (verdict.id !== null) this.#send({ type: 'refused', id: verdict.id, code: verdict.code });
  }

  async #revoked(frame: Extract<CoreFrame, { type: 'revoke' }>): Promise<void> {
    await this.#o.admission.revoke(frame.id, frame.device, frame.epoch, frame.reason);
    this.#send({ type: 'revoked', id: frame.id, device: frame.device, epoch: frame.epoch });
  }

  async #delta(frame: Extract<CoreFrame, { type: 'grant' | 'renew' | 'revoke' | 'config' }>): Promise<void> {
    const { admission } = this.#o;
    switch (frame.type) {
      case 'grant':
        this.#answerLater(frame.type, this.#granted(frame));
        return;
      case 'renew':
        await admission.renew(frame.id, frame.until);
        return;
      case 'revoke':
        this.#answerLater(frame.type, this.#revoked(frame));
        return;
      case 'config':
        this.#configure(frame.config);
        return;
      default:
        frame satisfies never;
    }
  }

  #configure(config: AgentConfig): void {
    const text = JSON.stringify(config);
    if (text === this.#agentConfigText) return;
    this.#agentConfigText = text;
    this.#o.onConfig(config);
  }

  #misplaced(channel: Frames, frame: CoreFrame): void {
    this.#o.log.warn('Core speaks out of turn', { type: frame.type, phase: this.#phase });
    channel.close(CloseCode.unexpected, `${frame.type} has no place here`);
  }

  #reportEnd(report: EndReport): void {
    this.#send({ type: 'session', event: 'ended', ...report });
  }

  #sendStats(state: DeviceState): void {
    const sessions: SessionStats[] = [];
    const seen = new Set<string>();
    for (const peer of state.peers) {
      if (peer.session === null) continue;
      const { id, device, sinceHandshakeMs } = peer.session;
      seen.add(device);
      const counters = { rx: peer.rxBytes, tx: peer.txBytes, handshakes: peer.handshakes ?? 0 };
      const known = this.#reported.get(device);
      // A new login of a live peer keeps its counters; a peer made anew starts at zero.
      const before = known !== undefined && counters.tx >= known.tx && counters.rx >= known.rx ? known : zero;
      const delta = {
        id,
        rx: counters.rx - before.rx,
        tx: counters.tx - before.tx,
        handshakes: Math.max(0, counters.handshakes - before.handshakes),
      };
      this.#reported.set(device, counters);
      if (delta.rx + delta.tx + delta.handshakes === 0) continue;
      sessions.push({ ...delta, sinceHandshakeMs: Math.max(0, Math.round(sinceHandshakeMs)) });
    }
    for (const device of this.#reported.keys()) if (!seen.has(device)) this.#reported.delete(device);
    for (let at = 0; at < sessions.length; at += statsPerFrame)
      this.#send({ type: 'stats', bootId: this.bootId, sessions: sessions.slice(at, at + statsPerFrame) });
  }

  #send(frame: AgentFrame): boolean {
    return this.isConnected && this.#channel !== null && this.#channel.send(frame);
  }
}
