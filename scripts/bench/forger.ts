// Forged initiations at a steady rate against one responder: 148 bytes, type 1, everything random but the form, from many
// source addresses. With the right mac1, which takes only the responder's public key, they are the dearest messages that an
// attacker can send; with a wrong one they should cost a hash.
//   forger.ts ADDRESS PORT RESPONDER-PUBLIC-KEY RATE SOURCE,SOURCE,...
// Lines `right`, `wrong`, `control` (the right ones at a closed port: what the packets cost by themselves) or `off` switch;
// the answer tells the phase that ended: { "sent", "seconds" }. Replies (cookies) are left in the sockets' buffers.

import { createHash, randomFillSync } from 'node:crypto';
import { createInterface } from 'node:readline';
import { BLAKE2s } from '@stablelib/blake2s';
import { openLibc } from '../../test/fixtures/native.ts';
import { Datagrams, openSocket, vectorLength } from './datagrams.ts';

const [address = '', port = '', responder = '', rate = '20000', sources = ''] = process.argv.slice(2);
const closedPort = 9;
const messageBytes = 148;
const mac1At = 116;
const macBytes = 16;
/** Different messages before the first comes again: a fraction of a second's worth. */
const variety = 2048;

const libc = await openLibc();
const key = createHash('blake2s256').update('mac1----').update(Buffer.from(responder, 'base64')).digest();

function forge(valid: boolean, target: number): Datagrams {
  const datagrams = new Datagrams(libc, variety, messageBytes);
  datagrams.target(address, target);
  const message = new Uint8Array(messageBytes);
  for (let i = 0; i < variety; i++) {
    randomFillSync(message);
    message.set([1, 0, 0, 0]);
    message.fill(0, mac1At + macBytes);
    if (valid)
      message.set(new BLAKE2s(macBytes, { key }).update(message.subarray(0, mac1At)).digest(), mac1At);
    libc.arena.u8.set(message, datagrams.at(i));
    datagrams.setBytes(i, messageBytes);
  }
  return datagrams;
}

const arsenal: Readonly<Record<string, Datagrams | null>> = {
  right: forge(true, Number(port)),
  wrong: forge(false, Number(port)),
  control: forge(true, closedPort),
  off: null,
};
const sockets = sources.split(',').map(source => openSocket(libc, source, 0));

let current: Datagrams | null = null;
let [sent, next, turn, since] = [0, 0, 0, performance.now()];

function shoot(): void {
  if (current !== null) {
    const due = Math.floor(((performance.now() - since) / 1000) * Number(rate)) - sent;
    // A tick late is caught up, a pause is not: the flood is steady, never a burst of its own.
    for (let left = Math.min(due, 2 * vectorLength); left > 0;) {
      const count = Math.min(left, vectorLength, variety - next);
      const taken = current.send(sockets[turn]!, next, count);
      turn = (turn + 1) % sockets.length;
      if (taken <= 0) break;
      sent += taken;
      left -= taken;
      next = (next + taken) % variety;
    }
  }
  setTimeout(shoot, 1);
}
shoot();

createInterface({ input: process.stdin }).on('line', line => {
  const now = performance.now();
  process.stdout.write(`${JSON.stringify({ sent, seconds: (now - since) / 1000 })}\n`);
  [current, sent, since] = [arsenal[line] ?? null, 0, now];
});
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
