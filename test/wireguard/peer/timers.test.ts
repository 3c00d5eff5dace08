import t from 'tap';
import * as timer from '../../../src/wireguard/peer/timers.ts';

const { Timers, timerNames } = timer;

t.test('every timer that can be set is exposed', async t => {
  for (let i = 0; i < timerNames.length; i++) {
    const timers = new Timers();
    t.equal(timers.earliest, Infinity);
    timers.at[i] = 42;
    t.equal(timers.earliest, 42, timerNames[i]!);
    t.equal(timers.first, i);
    timers.stopAll();
    t.equal(timers.earliest, Infinity);
  }
});

t.test('T10 passive keepalive: armed by data, one more when pending, stopped by any send', async t => {
  const timers = new Timers();
  timers.dataReceived(0);
  t.equal(timers.at[timer.passiveKeepalive], 10_000);
  t.equal(timers.needAnotherKeepalive, false);
  timers.dataReceived(4000);
  t.equal(timers.at[timer.passiveKeepalive], 10_000, 'not postponed');
  t.equal(timers.needAnotherKeepalive, true);
  timers.anySent();
  t.equal(timers.at[timer.passiveKeepalive], Infinity);
});

t.test('T11 new handshake: armed by data sent if not pending, stopped by any receive', async t => {
  const timers = new Timers();
  t.equal(timers.wantsNewHandshake(), true);
  timers.dataSent(0, 7);
  t.equal(timers.at[timer.newHandshake], 15_007);
  t.equal(timers.wantsNewHandshake(), false);
  timers.anyReceived();
  t.equal(timers.at[timer.newHandshake], Infinity);
});

t.test('T12 persistent keepalive: any traversal postpones it, zero is off', async t => {
  const timers = new Timers();
  timers.anyTraversal(0);
  t.equal(timers.at[timer.persistentKeepalive], Infinity);
  timers.persistentMs = 25_000;
  timers.anyTraversal(0);
  timers.anyTraversal(9000);
  t.equal(timers.at[timer.persistentKeepalive], 34_000);
});

t.test('T6 T13 retransmit with jitter, zeroing after 540 s', async t => {
  const timers = new Timers();
  timers.handshakeInitiated(100, 33);
  t.equal(timers.at[timer.retransmit], 5133);
  timers.handshakeAttempts = 4;
  timers.sentLastMinuteHandshake = true;
  timers.handshakeComplete();
  t.match(timers, { handshakeAttempts: 0, sentLastMinuteHandshake: false });
  t.equal(timers.at[timer.retransmit], Infinity);
  timers.sessionDerived(1);
  t.equal(timers.at[timer.zeroKeys], 540_001);
});

t.test('confirmation is repeated at 1, 3, 7, 15 and 31 s and then no more', async t => {
  const timers = new Timers();
  const at: number[] = [];
  timers.awaitConfirmation(0);
  while (timers.at[timer.confirm]! < Infinity) {
    const now = timers.at[timer.confirm]!;
    at.push(now);
    timers.confirmRepeated(now);
  }
  t.same(at, [1000, 3000, 7000, 15_000, 31_000]);
});
