// A witness inside one network namespace: it answers its parent's requests for HTTP calls, TCP transfers and datagram
// streams made from there, and its life keeps the namespace's counters readable under /proc/PID/net. The same file is
// both ends: imported, it is the remote control; run as a program, it is the witness.

import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket as Datagrams } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

export type Answer = { status: number; body: string };
export type Transfer = { bytes: number; ms: number; up: string; down: string; ok: boolean };
/** Receipt times are milliseconds of CLOCK_MONOTONIC. */
export type Receipts = { count: number; firstAt: number; lastAt: number };
export type Call =
  | { op: 'http'; method: string; url: string; headers: Record<string, string>; body?: string; ca?: string }
  | { op: 'serve'; host: string; port: number }
  | { op: 'transfer'; host: string; port: number; bytes: number }
  | { op: 'listen'; host: string; port: number; echo: boolean }
  | { op: 'stream'; host: string; port: number; everyMs: number }
  | { op: 'stream-stop' }
  | { op: 'receipts'; port: number }
  | { op: 'sysctl'; path: string; value: string };

export class Probe {
  static readonly file: string = fileURLToPath(import.meta.url);
  readonly pid: number;
  readonly ready: Promise<void>;
  #child: ChildProcess;
  #next = 1;
  #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();

  constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? -1;
    this.ready = new Promise((resolve, reject) => {
      child.once('exit', code => reject(new Error(`a probe ended with status ${code}`)));
      child.once('error', reject);
      child.on('message', (message: { id: number; value?: unknown; error?: string }) => {
        if (message.id === 0) return resolve();
        const waiter = this.#waiting.get(message.id);
        this.#waiting.delete(message.id);
        if (message.error === undefined) waiter?.resolve(message.value);
        else waiter?.reject(new Error(message.error));
      });
    });
    this.ready.catch(() => {});
    child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the probe ended'));
    });
  }

  /** `ca`: PEM of the authority to trust, for https. */
  async http(call: { method: string; url: string; body?: string; ca?: string }): Promise<Answer> {
    return await this.#call<Answer>({ op: 'http', headers: { 'content-type': 'application/json' }, ...call });
  }

  /** A TCP server that hashes what it is sent and sends as much back. */
  async serve(host: string, port: number): Promise<void> {
    await this.#call({ op: 'serve', host, port });
  }

  /** `bytes` up and `bytes` down through such a server, with both hashes compared. */
  async transfer(host: string, port: number, bytes: number, timeoutMs = 30_000): Promise<Transfer> {
    return await this.#call<Transfer>({ op: 'transfer', host, port, bytes }, timeoutMs);
  }

  /** Counts datagrams that arrive on a port, and returns them to the sender if told to. */
  async listen(host: string, port: number, echo = false): Promise<void> {
    await this.#call({ op: 'listen', host, port, echo });
  }

  /** Sends a small datagram every `everyMs` until streamStop(). */
  async stream(host: string, port: number, everyMs: number): Promise<void> {
    await this.#call({ op: 'stream', host, port, everyMs });
  }

  async streamStop(): Promise<number> {
    return await this.#call<number>({ op: 'stream-stop' });
  }

  async receipts(port: number): Promise<Receipts> {
    return await this.#call<Receipts>({ op: 'receipts', port });
  }

  /** /proc/sys/net is that of the opener's namespace; a witness is in it, so it writes. */
  async sysctl(path: string, value: string): Promise<void> {
    await this.#call({ op: 'sysctl', path, value });
  }

  close(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }

  async #call<T>(call: Call, timeoutMs = 15_000): Promise<T> {
    await this.ready;
    const id = this.#next++;
    return await new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`no answer to ${call.op} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.set(id, {
        resolve: value => (clearTimeout(timer), resolve(value as T)),
        reject: error => (clearTimeout(timer), reject(error)),
      });
      this.#child.send({ id, call });
    });
  }
}

// ---- the witness -------------------------------------------------------------------------------------------------------

const clock = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;
const listeners = new Map<number, Receipts>();
const streams: { socket: Datagrams; timer: NodeJS.Timeout; sent: number }[] = [];

function answer(call: Call): Promise<unknown> {
  switch (call.op) {
    case 'http':
      return http(call);
    case 'serve':
      return serve(call.host, call.port);
    case 'transfer':
      return transfer(call.host, call.port, call.bytes);
    case 'listen':
      return listen(call.host, call.port, call.echo);
    case 'stream':
      return stream(call.host, call.port, call.everyMs);
    case 'stream-stop':
      return streamStop();
    case 'receipts':
      return Promise.resolve(listeners.get(call.port) ?? { count: 0, firstAt: 0, lastAt: 0 });
    case 'sysctl':
      return Promise.resolve(writeFileSync(`/proc/sys/${call.path}`, call.value));
  }
}

function http(call: Extract<Call, { op: 'http' }>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const out = (call.url.startsWith('https:') ? secureRequest : request)(
      call.url,
      { method: call.method, headers: call.headers, timeout: 10_000, ...(call.ca ? { ca: call.ca } : {}) },
      response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    );
    out.on('timeout', () => out.destroy(new Error('no answer')));
    out.on('error', reject);
    out.end(call.body);
  });
}

// Transfer: u32 length, that many bytes up; then SHA-256 of them, as many bytes down and SHA-256 of those.
function serve(host: string, port: number): Promise<void> {
  const server = createServer(socket => {
    socket.on('error', () => {});
    void reader(socket).then(
      async read => {
        const bytes = new DataView((await read(4)).buffer).getUint32(0);
        const hash = createHash('sha256');
        for (let left = bytes; left > 0;) {
          const part = await read(Math.min(left, 65536));
          hash.update(part);
          left -= part.length;
        }
        const back = randomBytes(bytes);
        socket.write(hash.digest());
        socket.write(back);
        socket.end(createHash('sha256').update(back).digest());
      },
      () => socket.destroy(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

function transfer(host: string, port: number, bytes: number): Promise<Transfer> {
  const started = clock();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('error', reject);
    socket.once('connect', () => {
      const data = randomBytes(bytes);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes);
      socket.write(length);
      socket.write(data);
      const up = createHash('sha256').update(data).digest('hex');
      void reader(socket)
        .then(async read => {
          const upThere = Buffer.from(await read(32)).toString('hex');
          const hash = createHash('sha256');
          for (let left = bytes; left > 0;) {
            const part = await read(Math.min(left, 65536));
            hash.update(part);
            left -= part.length;
          }
          const down = hash.digest('hex');
          const downThere = Buffer.from(await read(32)).toString('hex');
          socket.destroy();
          resolve({ bytes, ms: clock() - started, up, down, ok: up === upThere && down === downThere });
        })
        .catch(reject);
    });
  });
}

/** Exact reads from a socket. */
async function reader(socket: Socket): Promise<(bytes: number) => Promise<Uint8Array>> {
  const parts = socket[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let held: Uint8Array = new Uint8Array(0);
  return async bytes => {
    const out = new Uint8Array(bytes);
    let at = 0;
    while (at < bytes) {
      if (held.length === 0) {
        const { value, done } = await parts.next();
        if (done) throw new Error('the connection ended early');
        held = value;
      }
      const take = Math.min(held.length, bytes - at);
      out.set(held.subarray(0, take), at);
      held = held.subarray(take);
      at += take;
    }
    return out;
  };
}

function listen(host: string, port: number, echo: boolean): Promise<void> {
  const receipts: Receipts = { count: 0, firstAt: 0, lastAt: 0 };
  listeners.set(port, receipts);
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (data, from) => {
    receipts.count++;
    receipts.lastAt = clock();
    if (receipts.firstAt === 0) receipts.firstAt = receipts.lastAt;
    if (echo) socket.send(data, from.port, from.address, () => {});
  });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, host, () => resolve());
  });
}

function stream(host: string, port: number, everyMs: number): Promise<void> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => {});
  const entry = { socket, sent: 0, timer: setInterval(send, everyMs) };
  function send(): void {
    entry.sent++;
    socket.send(`n${entry.sent}`, port, host, () => {});
  }
  streams.push(entry);
  return Promise.resolve();
}

function streamStop(): Promise<number> {
  let sent = 0;
  for (const entry of streams.splice(0)) {
    clearInterval(entry.timer);
    entry.socket.close();
    sent += entry.sent;
  }
  return Promise.resolve(sent);
}

if (process.send && process.argv[1] === Probe.file) {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: { id: number; call: Call }) => {
    new Promise(resolve => resolve(answer(message.call))).then(
      value => process.send?.({ id: message.id, value }),
      (error: Error) => process.send?.({ id: message.id, error: error.message }),
    );
  });
  process.send({ id: 0 });
}
