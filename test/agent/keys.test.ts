import t from 'tap';
import { genkey, genpsk, type KeyIo, pubkey } from '../../src/agent/keys.ts';
import { fromBase64 } from '../../src/util/bytes.ts';

function fakeIo(input: string[] = [], outputMode = 0): KeyIo & { stdout: string; stderr: string } {
  return {
    stdout: '',
    stderr: '',
    input: (async function* () {
      for (const chunk of input) yield Buffer.from(chunk, 'latin1');
    })(),
    outputMode,
    out(text) {
      this.stdout += text;
    },
    error(text) {
      this.stderr += text;
    },
  };
}

const key = 'YFKSfTKJiRkOxRgnmPRjiSCuaHuKsPnfxIfdtzSYnnM=';
const usage = /^Usage: sallyport gen(key|psk)\n$/;

t.test('genkey is clamped, genpsk is not', async t => {
  let unclamped = 0;
  for (let i = 0; i < 32; i++) {
    const io = fakeIo();
    t.equal(await genkey([], io), 0);
    const bytes = fromBase64(io.stdout.trimEnd())!;
    t.equal(bytes.length, 32);
    t.equal(bytes[0]! & 7, 0);
    t.equal(bytes[31]! & 192, 64);
    const psk = fakeIo();
    t.equal(await genpsk([], psk), 0);
    const random = fromBase64(psk.stdout.trimEnd())!;
    if ((random[0]! & 7) !== 0 || (random[31]! & 192) !== 64) unclamped++;
  }
  t.ok(unclamped > 0);
});

t.test('a world-accessible file is warned about', async t => {
  const io = fakeIo([], 0o100644);
  t.equal(await genkey([], io), 0);
  t.match(io.stderr, /^Warning: writing to world accessible file.\nConsider setting the umask/);
  const tight = fakeIo([], 0o100640);
  await genkey([], tight);
  t.equal(tight.stderr, '');
});

t.test('pubkey', async t => {
  for (const input of [[key], [`${key}\n`], [...key, '\n', ' \t\r\n\0'], [`${key}  \n\n`]]) {
    const io = fakeIo(input);
    t.equal(await pubkey([], io), 0);
    t.equal(io.stdout, 'CjPXsH33uBYQ8BCKKlzvU+DNBua/rYuacCNprwNWxA8=\n', 'as wg pubkey says');
  }
});

t.test('what wg refuses, we refuse with its words', async t => {
  const form = 'sallyport: Key is not the correct length or format\n';
  for (const [input, stderr] of [
    ['', form],
    ['abc\n', form],
    [key.slice(0, 43), form],
    [`${key.slice(0, 42)}N=`, form], // not canonical
    [key.replace('/', '?').replace('K', '!'), form],
    [`${key}x`, 'sallyport: Trailing characters found after key\n'],
    [`${key}\nx`, 'sallyport: Trailing characters found after key\n'],
  ] as const) {
    const io = fakeIo([input]);
    t.equal(await pubkey([], io), 1, JSON.stringify(input));
    t.equal(io.stderr, stderr);
    t.equal(io.stdout, '');
  }
});

t.test('a key is never an argument', async t => {
  const io = fakeIo([key]);
  t.equal(await pubkey([key], io), 1);
  t.equal(io.stderr, 'Usage: sallyport pubkey\n');
  for (const command of [genkey, genpsk]) {
    const refused = fakeIo();
    t.equal(await command(['x'], refused), 1);
    t.match(refused.stderr, usage);
  }
});
