// Where agents come in: an HTTP(S) listener with the enrolment request and the WebSocket. An agent proves itself by signing
// Core's challenge; Core proves itself by signing the agent's. Then the hub has it.

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Acceptor, refuseUpgrade } from '../../control/wire/acceptor.ts';
import type { Channel } from '../../control/wire/channel.ts';
import { CloseCode } from '../../control/wire/channel.ts';
import { signBytes, verifyBytes } from '../../control/trust/keys.ts';
import type { Log } from '../../control/log.ts';
import {
  agentEnrolRequest,
  agentProtocol,
  forgottenTranscript,
  helloTranscript,
  readAgentFrame,
  welcomeTranscript,
} from '../../control/wire/agentchannel.ts';
import { paths } from '../../control/clientapi/words.ts';
import type { AgentFrame, CoreFrame } from '../../control/wire/agentchannel.ts';
import { bodyText, closeNow, listen, renewOnHangup, webServer } from '../../control/wire/server.ts';
import type { TlsFiles } from '../../control/wire/server.ts';
import { bytesOf, read } from '../../control/validate.ts';
import { toBase64 } from '../../util/bytes.ts';
import { sourceNetwork } from '../../util/inet.ts';
import { counted, waitMs } from '../login/attempts.ts';
import { enrolAgent } from '../login/enrol.ts';
import type { Random } from '../ids.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Store } from '../store/store.ts';
import { StoreTrouble, withoutTrouble } from '../store/trouble.ts';

export interface AgentsOptions {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly clock: () => number;
  readonly random: Random;
  readonly log: Log;
  readonly tls?: TlsFiles | undefined;
}

type AgentChannel = Channel<AgentFrame, CoreFrame>;

const helloWithinMs = 10_000;
const bodyMaxBytes = 16_384;
const strangersMax = 256;
const lateMax = 10_000;

export class Agents {
  readonly #o: AgentsOptions;
  readonly #server: Server;
  readonly #acceptor: Acceptor<AgentFrame, CoreFrame>;
  #strangers = 0;
  /** Frames that the database could not take yet, oldest first. */
  #late: { agent: string; channel: AgentChannel; frame: AgentFrame }[] = [];

  constructor(options: AgentsOptions) {
    this.#o = options;
    this.#server = webServer(options.tls, (request, response) => void this.#answer(request, response));
    this.#server.maxConnections = 4096;
    this.#acceptor = new Acceptor({
      protocol: agentProtocol,
      read: readAgentFrame,
      opened: (channel, request) => this.#challenge(channel, request.socket.remoteAddress ?? ''),
    });
    this.#server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => {});
      if (request.url !== paths.agentConnect)
        refuseUpgrade(socket, 400, `the agent channel is at ${paths.agentConnect}`);
      else if (this.#strangers >= strangersMax)
        refuseUpgrade(socket, 400, 'too many connections that said no hello yet');
      else this.#acceptor.accept(request, socket, head);
    });
  }

  renewOnHangup(read: () => TlsFiles | undefined): void {
    renewOnHangup(this.#o.log, read, this.#server);
  }

  listen(at: { host: string; port: number }): Promise<AddressInfo> {
    return listen(this.#server, at);
  }

  async close(): Promise<void> {
    this.#o.sessions.hub.closeAll(CloseCode.goingAway, 'Core stops');
    await closeNow(this.#server);
  }

  #challenge(channel: AgentChannel, from: string): void {
    const nonce = toBase64(new Uint8Array(randomBytes(32)));
    let agent: string | null = null;
    this.#strangers++;
    const impatience = setTimeout(() => channel.close(CloseCode.unauthenticated, 'no hello'), helloWithinMs);
    const known = (): void => {
      clearTimeout(impatience);
      this.#strangers--;
    };
    channel.handle({
      frame: frame => {
        if (agent === null) {
          agent = this.#greet(channel, nonce, frame, from);
          if (agent !== null) known();
        } else if (!withoutTrouble(() => this.#receive(agent!, channel, frame)))
          this.#keep(agent, channel, frame);
      },
      closed: (code, reason) => {
        if (agent === null) known();
        else if (this.#o.sessions.hub.disconnect(agent, channel))
          this.#o.log.warn('agent away', { agent, close: code, reason });
      },
    });
    channel.send({ type: 'challenge', nonce, time: this.#o.clock() });
  }

  /** Takes what came while the database had a fault. Call it a few times a second. */
  tick(): void {
    for (let done = 0; done < this.#late.length; done++) {
      const { agent, channel, frame } = this.#late[done]!;
      if (withoutTrouble(() => this.#receive(agent, channel, frame))) continue;
      this.#late = this.#late.slice(done);
      return;
    }
    this.#late = [];
  }

  #receive(agent: string, channel: AgentChannel, frame: AgentFrame): void {
    if (!this.#o.sessions.hub.receive(agent, frame))
      channel.close(CloseCode.unexpected, `${frame.type} has no place here`);
  }

  /** Counters are left out: the next ones come soon. An agent that is too much comes again, with a snapshot. */
  #keep(agent: string, channel: AgentChannel, frame: AgentFrame): void {
    if (frame.type === 'stats') return;
    if (this.#late.length < lateMax) this.#late.push({ agent, channel, frame });
    else channel.close(CloseCode.goingAway, 'the database takes nothing');
  }

  #greet(channel: AgentChannel, nonce: string, frame: AgentFrame, from: string): string | null {
    try {
      return this.#hello(channel, nonce, frame, from);
    } catch (error) {
      if (!(error instanceof StoreTrouble)) throw error;
      if (frame.type === 'hello') this.#o.sessions.hub.disconnect(frame.agentId, channel);
      channel.close(CloseCode.goingAway, 'the database does not answer');
      return null;
    }
  }

  /** The agent's id when its signature is right; otherwise the channel is closed. */
  #hello(channel: AgentChannel, nonce: string, frame: AgentFrame, from: string): string | null {
    const { store, sessions, clock, log } = this.#o;
    if (frame.type !== 'hello') {
      channel.close(CloseCode.unexpected, 'hello is expected first');
      return null;
    }
    const agent = store.places.agent(frame.agentId);
    const signed = helloTranscript(nonce, frame);
    if (agent === undefined || !verifyBytes(bytesOf(agent.signPublic), signed, bytesOf(frame.signature))) {
      log.warn('agent not recognised', { agent: frame.agentId, from });
      if (agent === undefined) this.#sayForgotten(channel, frame);
      channel.close(CloseCode.unauthenticated, 'unknown agent or wrong signature');
      return null;
    }
    const time = clock();
    const signature = signBytes(store.signKey.privateKey, welcomeTranscript(frame.nonce, agent.id, time));
    channel.send({
      type: 'welcome',
      time,
      config: sessions.config(agent.id),
      signature: toBase64(signature),
    });
    sessions.hub.connect(agent.id, agent.location, channel, time);
    log.info('agent connected', { agent: agent.id, name: agent.name, version: frame.version, from });
    return agent.id;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#request(request, response);
    } catch (cause) {
      if (!(cause instanceof StoreTrouble)) throw cause;
      answer(response, 503, error(cause.code, 'Core cannot use its database: try again later'));
    }
  }

  /** Signed, for a gateway gives up its sessions on it. */
  #sayForgotten(channel: AgentChannel, { nonce, agentId }: { nonce: string; agentId: string }): void {
    const time = this.#o.clock();
    const signed = forgottenTranscript(nonce, agentId, time);
    const signature = toBase64(signBytes(this.#o.store.signKey.privateKey, signed));
    channel.send({ type: 'forgotten', time, signature });
  }

  async #request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET' && request.url === '/healthz') return answer(response, 200, { ok: true });
    if (request.method !== 'POST' || request.url !== paths.agentEnrol)
      return answer(response, 404, error('not-found', 'there is no such path'));
    const body = await bodyText(request, bodyMaxBytes);
    if (body === null)
      return answer(response, 413, error('too-large', `the body is over ${bodyMaxBytes} bytes`));
    const parsed = read(agentEnrolRequest, body);
    if (!parsed.ok) return answer(response, 400, error('bad-request', parsed.error));
    const { store, clock, random, log } = this.#o;
    const source = sourceNetwork(request.socket.remoteAddress ?? '');
    const now = clock();
    const gate = store.logins.gate(`source/${source}`);
    if (waitMs('source', gate, now) > 0)
      return answer(response, 429, error('slow-down', 'too many attempts: try again later'));
    const result = enrolAgent(store, parsed.value, source, now, random);
    if (result.ok) {
      log.info('agent enrolled', { agent: result.answer.agentId, location: result.answer.location });
      return answer(response, 200, result.answer);
    }
    if (result.code === 'bad-token') store.logins.saveGate(`source/${source}`, counted('source', gate, now));
    log.warn('agent enrolment refused', { why: result.code, from: source });
    answer(response, result.code === 'key-taken' ? 409 : 403, error(result.code, enrolMessage(result.code)));
  }
}

function enrolMessage(code: string): string {
  if (code === 'key-taken')
    return 'this WireGuard key is registered already: remove the old agent or make a new key';
  if (code === 'bad-key') return 'this is not a usable public key';
  return 'this join token is not valid (any more): make a new one with "core agent token LOCATION"';
}

function error(code: string, message: string): { error: { code: string; message: string } } {
  return { error: { code, message } };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
