import t from 'tap';
import { Keypair } from '../../../src/wireguard/noise/keypair.ts';
import { Peer } from '../../../src/wireguard/peer/peer.ts';
import { StagedBlocks } from '../../../src/wireguard/peer/staged.ts';

const cipher = { seal: () => {}, open: () => true, destroy: () => {} };

/** A peer whose slots are named by letters, '-' for empty: previous, current, next. */
function slots(text: string) {
  const peer = new Peer(3, new Uint8Array(32).fill(9), new StagedBlocks(1));
  const names = new Map<Keypair<Peer>, string>();
  const named = (name: string, isInitiator = true): Keypair<Peer> => {
    const pair = new Keypair(peer, cipher, cipher, 0, 0, isInitiator, 0);
    names.set(pair, name);
    return pair;
  };
  [peer.previous, peer.current, peer.next] = [...text].map(n => (n === '-' ? null : named(n))) as [
    null,
    null,
    null,
  ];
  const dropped: string[] = [];
  const discard = (pair: Keypair<Peer>): void => void dropped.push(names.get(pair)!);
  const now = (): string =>
    [peer.previous, peer.current, peer.next].map(p => (p ? names.get(p) : '-')).join('') +
    ' dropped ' +
    dropped.sort().join('');
  return { peer, named, discard, now };
}

const states = ['---', '-c-', 'pc-', '-cn', 'pcn', '--n', 'p--', 'p-n'];

t.test('S1 three slots, empty at first', async t => {
  const { peer } = slots('---');
  t.same([peer.previous, peer.current, peer.next], [null, null, null]);
});

t.test('S2 an initiator uses its session at once', async t => {
  const expected = ['-X-', 'cX-', 'cX- p', 'nX- c', 'nX- cp', 'nX-', '-X- p', 'nX- p'];
  for (const [i, text] of states.entries()) {
    const { peer, named, discard, now } = slots(text);
    peer.addKeypair(named('X', true), discard);
    const [after, dropped = ''] = expected[i]!.split(' ');
    t.equal(now(), `${after} dropped ${dropped}`, text);
  }
});

t.test('S3 a responder keeps it as next; next and previous go, current stays', async t => {
  const expected = ['--X', '-cX', '-cX p', '-cX n', '-cX np', '--X n', '--X p', '--X np'];
  for (const [i, text] of states.entries()) {
    const { peer, named, discard, now } = slots(text);
    peer.addKeypair(named('X', false), discard);
    const [after, dropped = ''] = expected[i]!.split(' ');
    t.equal(now(), `${after} dropped ${dropped}`, text);
  }
});

t.test('S4 S9 confirmation moves everybody one slot', async t => {
  for (const [text, expected] of [
    ['--n', '-n- dropped '],
    ['-cn', 'cn- dropped '],
    ['pcn', 'cn- dropped p'],
  ] as const) {
    const { peer, discard, now } = slots(text);
    peer.confirmNext(discard);
    t.equal(now(), expected, text);
  }
});

t.test('dropping all, expiring, printing', async t => {
  const { peer, discard, now } = slots('pcn');
  peer.expireSendKeys();
  t.same([peer.previous!.canSend, peer.current!.canSend, peer.next!.canSend], [true, false, false]);
  peer.dropKeypairs(discard);
  t.equal(now(), '--- dropped cnp');
  Object.assign(peer, { holdUntil: 5, mismatches: 2, unconfirmed: 2, hasMismatch: true });
  peer.forgetMismatch();
  t.match(peer, { holdUntil: -Infinity, mismatches: 0, unconfirmed: 0, hasMismatch: false });
  peer.presharedKey.fill(7);
  t.equal(JSON.stringify({ peer }), `{"peer":"${'09'.repeat(32)}"}`, 'no secret in JSON');
});
