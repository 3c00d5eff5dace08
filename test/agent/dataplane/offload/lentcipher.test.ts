import t from 'tap';
import { LentAead, lending } from '../../../../src/agent/dataplane/offload/lentcipher.ts';
import { stablelibProvider } from '../../../../src/wireguard/primitives/stablelib.ts';
import { Arena } from '../../../../src/util/arena.ts';

t.test('the same cipher, that remembers its key until it is destroyed', t => {
  const arena = new Arena(new ArrayBuffer(4096), 64);
  const plain = stablelibProvider(arena);
  let settled = 0;
  let keyThen: number[] = [];
  const provider = lending(plain, () => {
    settled++;
    keyThen = [...kept.key];
  });
  const key = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
  const kept = provider.aead(key) as LentAead;
  const other = plain.aead(key);
  t.type(kept, LentAead);
  t.equal(provider.name, plain.name);
  arena.u8.fill(7, 64, 164);
  kept.seal(64, 100, 9);
  t.ok(other.open(64, 116, 9, 0));
  other.seal(64, 100, 10);
  t.ok(kept.open(64, 116, 10, 0));
  t.notOk(kept.open(64, 116, 10, 0));

  const mine = [...key];
  key.fill(0);
  t.strictSame([...kept.key], mine, 'a copy');
  kept.destroy();
  t.equal(settled, 1);
  t.strictSame(keyThen, mine, 'what is out comes back before the key goes');
  t.ok(kept.key.every(byte => byte === 0));
  t.end();
});

t.test('the rest of the provider is as it was', t => {
  const plain = stablelibProvider(new Arena(new ArrayBuffer(4096), 64));
  const provider = lending(plain, () => undefined);
  const [a, b] = [new Uint8Array(32), new Uint8Array(32)];
  const secret = new Uint8Array(32).fill(64);
  plain.publicKey(a, secret);
  provider.publicKey(b, secret);
  t.strictSame(b, a);
  t.equal(provider.sharedSecret(a, secret, b), true);
  plain.sharedSecret(b, secret, Uint8Array.from(b));
  t.strictSame(b, a);
  const sealed = new Uint8Array(20);
  const opened = new Uint8Array(4);
  provider.seal(sealed, secret, Uint8Array.of(1, 2, 3, 4), new Uint8Array(0));
  t.ok(provider.open(opened, secret, sealed, new Uint8Array(0)));
  t.strictSame([...opened], [1, 2, 3, 4]);
  t.end();
});
