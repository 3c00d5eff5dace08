import t from 'tap';
import { rejectAfterMessages } from '../../../src/wireguard/constants.ts';
import { Keypair } from '../../../src/wireguard/noise/keypair.ts';
import type { Peer } from '../../../src/wireguard/peer/peer.ts';
import type { Aead } from '../../../src/wireguard/primitives/provider.ts';

function keypair(createdAt = 0) {
  const destroyed: string[] = [];
  const cipher = (name: string): Aead => ({
    seal: () => {},
    open: () => true,
    destroy: () => void destroyed.push(name),
  });
  const pair = new Keypair({} as Peer, cipher('send'), cipher('receive'), 1, 2, true, createdAt);
  return { pair, destroyed };
}

t.test('T2 counters are assigned all or nothing below the limit', async t => {
  const { pair } = keypair();
  pair.sendCounter = rejectAfterMessages - 3;
  t.equal(pair.usable(0, 3), true, 'up to the limit');
  t.equal(pair.usable(0, 4), false, 'a batch that straddles it');
  t.equal(pair.usable(0, 1), false, 'and then never again');
  t.equal(pair.canSend, false);
  t.equal(pair.acceptable(0), true, 'it may still receive');
  t.ok(Number.isSafeInteger(rejectAfterMessages + 65_535), 'every counter in use is exact');
});

t.test('T5 exactly 180 s, both ways', async t => {
  const { pair } = keypair(1000);
  t.equal(pair.usable(180_999, 1), true);
  t.equal(pair.acceptable(180_999), true);
  t.equal(pair.acceptable(181_000), false);
  t.equal(pair.usable(181_001, 1), false);
  t.equal(pair.canSend, false);
});

t.test('destroyed once, and good for nothing', async t => {
  const { pair, destroyed } = keypair();
  pair.destroy();
  pair.destroy();
  t.same(destroyed, ['send', 'receive']);
  t.equal(pair.usable(0, 1), false);
  t.equal(pair.acceptable(0), false);
});
