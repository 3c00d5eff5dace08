// `sallyport genkey`, `genpsk`, `pubkey`: as `wg` does it, to the letter of its messages and its exit status, so that scripts
// may swap one for the other. A private key comes from stdin only, never from an argument.

import { randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { x25519PublicKey } from '../control/trust/keys.ts';
import { fromBase64, toBase64, wipe } from '../util/bytes.ts';

/** What the three commands touch; replaced in tests. */
export interface KeyIo {
  readonly input: AsyncIterable<Uint8Array>;
  out(text: string): void;
  error(text: string): void;
  /** Mode bits of standard output when it is a regular file, else 0. */
  readonly outputMode: number;
}

export async function genkey(args: readonly string[], io: KeyIo = standardIo()): Promise<number> {
  return generate('genkey', args, io);
}

export async function genpsk(args: readonly string[], io: KeyIo = standardIo()): Promise<number> {
  return generate('genpsk', args, io);
}

export async function pubkey(args: readonly string[], io: KeyIo = standardIo()): Promise<number> {
  if (args.length > 0) return usage('pubkey', io);
  const text = await readKeyText(io.input);
  if (text === null) return fail(io, 'Trailing characters found after key');
  const privateKey = text.length === 44 ? fromBase64(text) : null;
  if (privateKey === null) return fail(io, 'Key is not the correct length or format');
  io.out(`${toBase64(x25519PublicKey(privateKey))}\n`);
  wipe(privateKey);
  return 0;
}

function generate(name: 'genkey' | 'genpsk', args: readonly string[], io: KeyIo): number {
  if (args.length > 0) return usage(name, io);
  if ((io.outputMode & 0o007) !== 0) {
    io.error(
      'Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.\n',
    );
  }
  const key = new Uint8Array(randomBytes(32));
  if (name === 'genkey') {
    key[0]! &= 248; // curve25519_clamp_secret
    key[31] = (key[31]! & 127) | 64;
  }
  io.out(`${toBase64(key)}\n`);
  wipe(key);
  return 0;
}

/** The first 44 characters; null when anything but white space and NUL follows them. Reads no more than it must. */
async function readKeyText(input: AsyncIterable<Uint8Array>): Promise<string | null> {
  let text = '';
  for await (const chunk of input) {
    text += Buffer.from(chunk).toString('latin1');
    if (text.length <= 44) continue;
    if (!/^[\0\t-\r ]*$/.test(text.slice(44))) return null;
    text = text.slice(0, 44);
  }
  return text;
}

function usage(name: string, io: KeyIo): number {
  io.error(`Usage: sallyport ${name}\n`);
  return 1;
}

function fail(io: KeyIo, message: string): number {
  io.error(`sallyport: ${message}\n`);
  return 1;
}

function standardIo(): KeyIo {
  const output = fstatSync(1, { bigint: false });
  return {
    input: process.stdin as AsyncIterable<Uint8Array>,
    out: text => void process.stdout.write(text),
    error: text => void process.stderr.write(text),
    outputMode: output.isFile() ? output.mode : 0,
  };
}
