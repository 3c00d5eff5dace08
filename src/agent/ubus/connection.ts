// The agent on OpenWrt's message bus: registers the object `sallyport`, answers calls, and tells hotplug scripts of logins and
// logouts. It speaks the protocol itself over ubusd's unix socket, so no program is started per poll and no native module
// is needed. The bus comes and goes without harm: it connects again and registers anew. What the methods do is the caller's.

import { connect, type Socket } from 'node:net';
import { attribute, type Blob, type BlobTable, blobType, decodeTable, encodeTable } from './blobmsg.ts';
import {
  encodeMessage,
  find,
  MessageReader,
  messageType,
  readString,
  readWord,
  string,
  ubusAttribute,
  type UbusMessage,
  ubusStatus,
  word,
} from './message.ts';

export const ubusSocket = '/var/run/ubus/ubus.sock';

/** A call that the method refuses: the status the caller gets. */
export class UbusRefusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`ubus status ${status}`);
    this.name = 'UbusRefusal';
    this.status = status;
  }
}

export interface UbusMethod {
  /** Names and blobmsg types of the arguments, for `ubus -v list`. */
  readonly parameters: Readonly<Record<string, number>>;
  /** Undefined: no data, only the status. */
  readonly call: (parameters: BlobTable) => Promise<BlobTable | undefined> | BlobTable | undefined;
}

export interface UbusOptions {
  readonly name: string;
  readonly methods: Readonly<Record<string, UbusMethod>>;
  readonly socketPath?: string;
  readonly onState?: (state: 'registered' | 'lost' | 'refused', status?: number) => void;
  /** Milliseconds until the next attempt; replaced in tests. */
  readonly delay?: (attempt: number) => number;
}

interface Pending {
  readonly data: UbusMessage[];
  readonly done: (status: number, data: readonly UbusMessage[]) => void;
}

const callWithinMs = 5000;
const mostPending = 64;

export class Ubus {
  readonly #o: UbusOptions;
  #socket: Socket | null = null;
  #pending = new Map<number, Pending>();
  #seq = 0;
  #attempt = 0;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;
  isRegistered = false;

  constructor(options: UbusOptions) {
    this.#o = options;
    this.#connect();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.destroy();
    this.#drop();
  }

  /** Calls another object; resolves to its answer, `null` when it has none, and to a status other than 0 on failure. */
  async invoke(
    path: string,
    method: string,
    parameters: BlobTable,
  ): Promise<{ status: number; data: BlobTable | null }> {
    const looked = await this.#request(messageType.lookup, 0, [string(ubusAttribute.objectPath, path)]);
    const id = looked.data[0] === undefined ? null : readWord(looked.data[0], ubusAttribute.objectId);
    if (looked.status !== 0 || id === null)
      return { status: looked.status === 0 ? ubusStatus.notFound : looked.status, data: null };
    const answer = await this.#request(messageType.invoke, id, [
      word(ubusAttribute.objectId, id),
      string(ubusAttribute.method, method),
      attribute(ubusAttribute.data, encodeTable(parameters)),
    ]);
    const payload = answer.data[0] === undefined ? undefined : find(answer.data[0], ubusAttribute.data);
    return { status: answer.status, data: payload === undefined ? null : decodeTable(payload) };
  }

  /** Runs /etc/hotplug.d/sallyport/ as root through procd, with these variables. Best effort. */
  async hotplug(variables: Readonly<Record<string, string>>): Promise<number> {
    // A line break would be a second variable to a careless script.
    const env = Object.entries(variables).map(
      ([name, value]) => `${name}=${value.replace(/[\r\n\0]+/g, ' ')}`,
    );
    return (await this.invoke('hotplug.sallyport', 'call', { env })).status;
  }

  #connect(): void {
    this.#timer = null;
    const socket = connect({ path: this.#o.socketPath ?? ubusSocket });
    const reader = new MessageReader();
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => {
      const messages = reader.push(bytes);
      if (messages === null) return void socket.destroy();
      for (const message of messages) this.#receive(message);
    });
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => {
      this.#drop();
      if (this.#isClosed) return;
      const waitMs =
        this.#o.delay?.(this.#attempt) ?? Math.min(60_000, 1000 * 2 ** Math.min(this.#attempt, 6));
      this.#attempt++;
      this.#timer = setTimeout(() => this.#connect(), waitMs);
      this.#timer.unref();
    });
    socket.unref();
  }

  #drop(): void {
    this.#socket = null;
    if (this.isRegistered) this.#o.onState?.('lost');
    this.isRegistered = false;
    for (const { done } of this.#pending.values()) done(ubusStatus.connectionFailed, []);
    this.#pending.clear();
  }

  #receive(message: UbusMessage): void {
    switch (message.type) {
      case messageType.hello:
        return void this.#register();
      case messageType.data:
        this.#pending.get(message.seq)?.data.push(message);
        return;
      case messageType.status: {
        const pending = this.#pending.get(message.seq);
        this.#pending.delete(message.seq);
        pending?.done(readWord(message, ubusAttribute.status) ?? ubusStatus.unknown, pending.data);
        return;
      }
      case messageType.ping:
        this.#write(messageType.status, message.seq, message.peer, [word(ubusAttribute.status, 0)]);
        return;
      case messageType.invoke:
        return void this.#answer(message);
      default: // subscriptions and what newer daemons may say
    }
  }

  async #register(): Promise<void> {
    const { name, methods } = this.#o;
    const signature = encodeTable(
      Object.fromEntries(Object.entries(methods).map(([method, { parameters }]) => [method, parameters])),
    );
    const { status } = await this.#request(messageType.addObject, 0, [
      string(ubusAttribute.objectPath, name),
      attribute(ubusAttribute.signature, signature),
    ]);
    this.isRegistered = status === 0;
    if (status === 0) this.#attempt = 0;
    if (status !== ubusStatus.connectionFailed)
      this.#o.onState?.(status === 0 ? 'registered' : 'refused', status);
  }

  async #answer(message: UbusMessage): Promise<void> {
    const id = readWord(message, ubusAttribute.objectId);
    const name = readString(message, ubusAttribute.method);
    if (id === null) return;
    let status: number = ubusStatus.ok;
    let result: BlobTable | undefined;
    try {
      result = await this.#call(name, decodeTable(find(message, ubusAttribute.data) ?? new Uint8Array()));
    } catch (error) {
      status = error instanceof UbusRefusal ? error.status : ubusStatus.unknown;
    }
    const noReply = find(message, ubusAttribute.noReply);
    if (noReply !== undefined && noReply[0] !== 0) return;
    if (result !== undefined)
      this.#write(messageType.data, message.seq, message.peer, [
        word(ubusAttribute.objectId, id),
        attribute(ubusAttribute.data, encodeTable(result)),
      ]);
    this.#write(messageType.status, message.seq, message.peer, [
      word(ubusAttribute.status, status),
      word(ubusAttribute.objectId, id),
    ]);
  }

  async #call(name: string | null, given: BlobTable | null): Promise<BlobTable | undefined> {
    const method = name !== null && Object.hasOwn(this.#o.methods, name) ? this.#o.methods[name]! : null;
    if (method === null) throw new UbusRefusal(ubusStatus.methodNotFound);
    if (given === null) throw new UbusRefusal(ubusStatus.invalidArgument);
    for (const [parameter, type] of Object.entries(method.parameters)) {
      const value = given[parameter];
      if (value !== undefined && !isOfType(value, type)) throw new UbusRefusal(ubusStatus.invalidArgument);
    }
    return method.call(given);
  }

  #request(
    type: number,
    peer: number,
    parts: readonly Uint8Array[],
  ): Promise<{ status: number; data: readonly UbusMessage[] }> {
    if (this.#socket === null || this.#pending.size >= mostPending)
      return Promise.resolve({ status: ubusStatus.connectionFailed, data: [] });
    do this.#seq = (this.#seq + 1) & 0xffff;
    while (this.#pending.has(this.#seq));
    const seq = this.#seq;
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#pending.delete(seq);
        resolve({ status: ubusStatus.timeout, data: [] });
      }, callWithinMs);
      timer.unref();
      this.#pending.set(seq, {
        data: [],
        done: (status, data) => {
          clearTimeout(timer);
          resolve({ status, data });
        },
      });
      this.#write(type, seq, peer, parts);
    });
  }

  #write(type: number, seq: number, peer: number, parts: readonly Uint8Array[]): void {
    this.#socket?.write(encodeMessage(type, seq, peer, parts));
  }
}

function isOfType(value: Blob, type: number): boolean {
  switch (type) {
    case blobType.string:
      return typeof value === 'string';
    case blobType.int8:
      return typeof value === 'boolean' || typeof value === 'number';
    case blobType.array:
      return Array.isArray(value);
    case blobType.table:
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === 'number' || typeof value === 'bigint';
  }
}
