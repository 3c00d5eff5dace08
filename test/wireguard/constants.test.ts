import t from 'tap';
import * as c from '../../src/wireguard/constants.ts';

t.test('the numbers of the paper, written out once more', async t => {
  t.match(c, {
    rekeyAfterMs: 120_000,
    rejectAfterMs: 180_000,
    rekeyTimeoutMs: 5000,
    keepaliveTimeoutMs: 10_000,
    jitterMs: 333,
    maxTimerHandshakes: 90 / 5,
    initiationIntervalMs: 1000 / 50,
    maxStagedPackets: 128,
    zeroAfterMs: 540_000,
    rekeyOnReceiveAfterMs: 165_000,
    pendingUnderLoad: 4096 / 8,
    loadHoldMs: 1000,
    defaultMtu: 1420,
  });
});

t.test('our message limits are below those of the paper and exact', async t => {
  t.ok(BigInt(c.rekeyAfterMessages) < 2n ** 60n);
  t.ok(BigInt(c.rejectAfterMessages) < 2n ** 64n - 2n ** 13n - 1n);
  t.ok(c.rekeyAfterMessages < c.rejectAfterMessages && c.rejectAfterMessages < Number.MAX_SAFE_INTEGER);
});
