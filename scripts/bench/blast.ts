// Datagrams at a steady rate from here, counted there: the two ends of the UDP ramp.
//   blast.ts send ADDRESS PORT FROM     lines `ID BYTES RATE SECONDS` (rate in datagrams per second, 0 as fast as possible)
//                                       → { "sent", "seconds" }
//   blast.ts receive ADDRESS PORT       lines `ID` → { "received", "seconds" } once nothing has come for a while
// The first four bytes of a datagram are the ID of its run; runs count upwards.
// Both ends share two cores with what they measure, so neither spins: the sender sleeps a quarter of a millisecond between
// its bursts, the receiver empties its (large) socket buffer about once a millisecond.

import { createInterface } from 'node:readline';
import { openLibc } from '../../test/fixtures/native.ts';
import { Datagrams, openSocket, vectorLength } from './datagrams.ts';

const [mode, address = '', port = '', from = ''] = process.argv.slice(2);
const tickMs = 0.25;
/** The wire is quiet when nothing came for so long; a tunnel's own queues drain within a few milliseconds. */
const quietMs = 80;

const libc = await openLibc();
const { view } = libc.arena;
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

function sender(): void {
  const fd = openSocket(libc, from, 0);
  const sleeper = new Int32Array(new SharedArrayBuffer(4)); // never notified: for sleeping only
  const datagrams = new Datagrams(libc, vectorLength, 2048);
  datagrams.target(address, Number(port));

  function burst(count: number): number {
    let sent = 0;
    while (sent < count) {
      const taken = datagrams.send(fd, 0, count - sent);
      // A full queue is the sender's cue to come back later; anything else that fails is a datagram lost here.
      if (taken <= 0) break;
      sent += taken;
    }
    return sent;
  }

  function run(id: number, bytes: number, rate: number, seconds: number): { sent: number; seconds: number } {
    for (let i = 0; i < vectorLength; i++) {
      datagrams.setBytes(i, bytes);
      view.setUint32(datagrams.at(i), id, true);
    }
    const total = rate > 0 ? Math.round(rate * seconds) : Infinity;
    // Time the scheduler took away is caught up in bursts of bounded length: a queue of 500 must not overflow for it.
    const longest = Math.max(vectorLength, Math.ceil((rate * tickMs * 4) / 1000));
    const started = performance.now();
    let sent = 0;
    for (;;) {
      const elapsed = (performance.now() - started) / 1000;
      // A sender that cannot keep the rate gets a little longer; then its own numbers show it.
      if (sent >= total || elapsed >= seconds * (rate > 0 ? 1.25 : 1)) return { sent, seconds: elapsed };
      const due = rate > 0 ? Math.min(total, Math.floor(rate * elapsed) + 1) - sent : vectorLength;
      sent += burst(Math.min(due, longest));
      if (rate > 0) Atomics.wait(sleeper, 0, 0, tickMs);
    }
  }

  createInterface({ input: process.stdin }).on('line', line => {
    const [id = 0, bytes = 0, rate = 0, seconds = 0] = line.split(' ').map(Number);
    say(run(id, bytes, rate, seconds));
  });
}

function receiver(): void {
  const fd = openSocket(libc, address, Number(port));
  const datagrams = new Datagrams(libc, vectorLength, 2048);
  let [current, received, first, last] = [0, 0, 0, 0];
  let asked: { id: number; at: number } | null = null;

  function take(count: number, now: number): void {
    for (let i = 0; i < count; i++) {
      const id = view.getUint32(datagrams.at(i), true);
      if (id < current) continue; // a straggler of the run before
      if (id > current) [current, received, first] = [id, 0, now];
      received++;
      last = now;
    }
  }

  function turn(): void {
    for (;;) {
      const count = datagrams.receive(fd, vectorLength);
      if (count > 0) take(count, performance.now());
      if (count < vectorLength) break;
    }
    const now = performance.now();
    if (asked !== null && now - Math.max(asked.at, last) > quietMs) {
      say(asked.id === current ? { received, seconds: (last - first) / 1000 } : { received: 0, seconds: 0 });
      asked = null;
    }
    setTimeout(turn, 1);
  }
  turn();
  createInterface({ input: process.stdin }).on('line', line => {
    asked = { id: Number(line), at: performance.now() };
  });
}

if (mode === 'send') sender();
else receiver();
say({ ready: true });
