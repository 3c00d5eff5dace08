// A flock of initiators against one responder, to count handshakes per second: each initiation is complete and valid
// (whitepaper §5.4.2), made with Node's own crypto; only cookie replies are opened with our code. Every initiator shares one ephemeral
// key, which the responder cannot know, so that making an initiation costs a fraction of answering it.
// Each has a socket of its own, spread over many source addresses: responders rate-limit by address while under
// load, and some bind a socket to each peer's address.
//   initiator.ts ADDRESS PORT RESPONDER-PUBLIC-KEY SECONDS WINDOW    on stdin one line each: private key, source address
// Prints JSON: { sent, answered, cookies, seconds }.

import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from 'node:crypto';
import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { BLAKE2s } from '@stablelib/blake2s';
import { xchachaOpen } from '../../src/wireguard/primitives/xchacha.ts';

const [address = '', port = '', responder = '', seconds = '3', window = '32'] = process.argv.slice(2);

const hash = (...parts: Uint8Array[]): Buffer => {
  const h = createHash('blake2s256');
  for (const part of parts) h.update(part);
  return h.digest();
};
const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Buffer => {
  const h = createHmac('blake2s256', key);
  for (const part of parts) h.update(part);
  return h.digest();
};
const kdf2 = (key: Uint8Array, input: Uint8Array): [Buffer, Buffer] => {
  const secret = hmac(key, input);
  const t1 = hmac(secret, Uint8Array.of(1));
  return [t1, hmac(secret, t1, Uint8Array.of(2))];
};
const mac = (key: Uint8Array, data: Uint8Array): Uint8Array => new BLAKE2s(16, { key }).update(data).digest();
const aead = (key: Uint8Array, plain: Uint8Array, additional: Uint8Array): Buffer => {
  const cipher = createCipheriv('chacha20-poly1305', key, new Uint8Array(12), { authTagLength: 16 });
  cipher.setAAD(additional, { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
};

// DER prefixes of RFC 8410 in front of the 32 bytes.
const privateFrom = (raw: Uint8Array): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), raw]),
    format: 'der',
    type: 'pkcs8',
  });
const publicFrom = (raw: Uint8Array): KeyObject =>
  createPublicKey({
    key: Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), raw]),
    format: 'der',
    type: 'spki',
  });
const rawPublic = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);

const responderRaw = Buffer.from(responder, 'base64');
const responderKey = publicFrom(responderRaw);
const ephemeral = generateKeyPairSync('x25519').privateKey;
const ephemeralRaw = rawPublic(ephemeral);

// The transcript up to and including `es` is the same for all initiators.
const construction = hash(Buffer.from('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'));
const start = hash(hash(construction, Buffer.from('WireGuard v1 zx2c4 Jason@zx2c4.com')), responderRaw);
const afterE = hmac(hmac(construction, ephemeralRaw), Uint8Array.of(1));
const hashE = hash(start, ephemeralRaw);
const [afterEs, keyEs] = kdf2(afterE, diffieHellman({ privateKey: ephemeral, publicKey: responderKey }));
const mac1Key = hash(Buffer.from('mac1----'), responderRaw);
const cookieKey = hash(Buffer.from('cookie--'), responderRaw);

interface Initiator {
  readonly index: number;
  readonly sealedStatic: Buffer;
  readonly hashS: Buffer;
  readonly keySs: Buffer;
  readonly socket: Socket;
  cookie: Uint8Array | null;
  lastMac1: Uint8Array;
  lastSent: number;
}
const flock: Initiator[] = readFileSync(0, 'utf8')
  .split('\n')
  .filter(line => line !== '')
  .map((line, index) => {
    const [text = '', source = ''] = line.split(' ');
    const key = privateFrom(Buffer.from(text, 'base64'));
    const sealedStatic = aead(keyEs, rawPublic(key), hashE);
    const [, keySs] = kdf2(afterEs, diffieHellman({ privateKey: key, publicKey: responderKey }));
    const socket = createSocket('udp4').bind(0, source);
    const hashS = hash(hashE, sealedStatic);
    return {
      index,
      sealedStatic,
      hashS,
      keySs,
      socket,
      cookie: null,
      lastMac1: new Uint8Array(16),
      lastSent: 0,
    };
  });

function takeCookie(to: Initiator, reply: Buffer): void {
  const fresh = new Uint8Array(16);
  if (xchachaOpen(fresh, cookieKey, reply.subarray(8, 32), reply.subarray(32, 64), to.lastMac1))
    to.cookie = fresh;
}

let nanos = 0n;
function tai64n(): Buffer {
  // Strictly increasing, in steps a responder that rounds to 2^24 ns still sees as later per initiator.
  const now = BigInt(Date.now()) * 1_000_000n;
  nanos = now > nanos ? now : nanos + 1n;
  const stamp = Buffer.alloc(12);
  stamp.writeBigUInt64BE(0x400000000000000an + nanos / 1_000_000_000n);
  stamp.writeUInt32BE(Number(nanos % 1_000_000_000n), 8);
  return stamp;
}

function initiation(from: Initiator): Buffer {
  const message = Buffer.alloc(148);
  message[0] = 1;
  message.writeUInt32LE(from.index + 1, 4);
  message.set(ephemeralRaw, 8);
  message.set(from.sealedStatic, 40);
  message.set(aead(from.keySs, tai64n(), from.hashS), 88);
  message.set(mac(mac1Key, message.subarray(0, 116)), 116);
  if (from.cookie !== null) message.set(mac(from.cookie, message.subarray(0, 132)), 132);
  from.lastMac1 = message.subarray(116, 132);
  return message;
}

await Promise.all(flock.map(({ socket }) => once(socket, 'listening')));

let [sent, answered, cookies, outstanding, next] = [0, 0, 0, 0, 0];
const started = performance.now();
const end = started + Number(seconds) * 1000;

function pump(): void {
  const now = performance.now();
  while (outstanding < Number(window)) {
    const initiator = flock[next]!;
    // One initiator may speak only every 20 ms (responders drop more as a flood): the flock must be large enough.
    if (now - initiator.lastSent < 25 && initiator.lastSent !== 0) break;
    initiator.lastSent = now;
    initiator.socket.send(initiation(initiator), Number(port), address);
    next = (next + 1) % flock.length;
    sent++;
    outstanding++;
  }
}

for (const initiator of flock)
  initiator.socket.on('message', message => {
    if (message[0] === 2) answered++;
    else if (message[0] === 3) {
      cookies++;
      takeCookie(initiator, message);
    } else return;
    outstanding = Math.max(0, outstanding - 1);
    if (performance.now() < end) pump();
  });

let previous = -1;
const timer = setInterval(() => {
  if (performance.now() >= end) {
    clearInterval(timer);
    for (const { socket } of flock) socket.close();
    const took = (performance.now() - started) / 1000;
    process.stdout.write(`${JSON.stringify({ sent, answered, cookies, seconds: took })}\n`);
    return;
  }
  // Nothing came for a whole tick: what is outstanding was lost or refused.
  if (answered + cookies === previous) outstanding = 0;
  previous = answered + cookies;
  pump();
}, 20);
pump();
