import t from 'tap';
import { seeded } from '../../fixtures/rng.ts';
import { IndexTable } from '../../../src/wireguard/noise/indextable.ts';
import type { Keypair } from '../../../src/wireguard/noise/keypair.ts';
import type { Handshake } from '../../../src/wireguard/noise/handshakeslot.ts';

const handshake = (): Handshake<object> => ({ localIndex: 0 }) as Handshake<object>;

t.test('H12 10000 indices without duplicate or structure', async t => {
  const table = new IndexTable(seeded(1).fill);
  const seen = new Set<number>();
  const bits = new Array<number>(32).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const h = handshake();
    h.localIndex = table.insert(h);
    seen.add(h.localIndex);
    for (let bit = 0; bit < 32; bit++) bits[bit]! += (h.localIndex >>> bit) & 1;
  }
  t.equal(seen.size, 10_000);
  t.ok(
    [...seen].every(index => index === (index | 0)),
    'int32',
  );
  t.ok(
    bits.every(n => n > 4700 && n < 5300),
    'every bit is a coin',
  );
  t.equal(table.size, 10_000);
});

t.test('H12 one name space: an index in use is drawn again, whoever uses it', async t => {
  const draws = [7, 7, 7, 8];
  const table = new IndexTable(out => new DataView(out.buffer).setInt32(0, draws.shift()!, true));
  const a = handshake();
  a.localIndex = table.insert(a);
  const pair = { localIndex: a.localIndex } as Keypair<object>;
  table.replace(a.localIndex, pair);
  const b = handshake();
  t.equal(table.insert(b), 8);
  t.equal(table.keypair(7), pair);
  t.equal(table.size, 2);
});

t.test('H13 handshakes and keypairs answer only to their own kind', async t => {
  const table = new IndexTable(seeded(2).fill);
  const h = handshake();
  h.localIndex = table.insert(h);
  t.equal(table.handshake(h.localIndex), h);
  t.equal(table.keypair(h.localIndex), null);
  const pair = { localIndex: h.localIndex } as Keypair<object>;
  table.replace(h.localIndex, pair);
  t.equal(table.handshake(h.localIndex), null);
  t.equal(table.keypair(h.localIndex), pair);
  table.removeKeypair(pair);
  t.equal(table.size, 0);
  const other = handshake();
  other.localIndex = table.insert(other);
  table.removeHandshake({ ...other } as Handshake<object>);
  t.equal(table.size, 1, 'only its owner removes an index');
  table.removeHandshake(other);
  t.equal(table.size, 0);
});
