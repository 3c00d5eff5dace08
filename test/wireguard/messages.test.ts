import t from 'tap';
import * as cookie from '../../src/wireguard/dos/cookie.ts';
import * as m from '../../src/wireguard/messages.ts';

t.test('W3 W4 W5 W6 offsets leave no gap', async t => {
  t.same(
    [m.initiationSenderAt, m.initiationEphemeralAt, m.initiationStaticAt, m.initiationTimestampAt],
    [4, 8, 40, 88],
  );
  t.same([m.initiationMac1At, m.initiationMac2At, m.initiationBytes], [116, 132, 148]);
  t.same(
    [m.responseSenderAt, m.responseReceiverAt, m.responseEphemeralAt, m.responseEmptyAt],
    [4, 8, 12, 44],
  );
  t.same([m.responseMac1At, m.responseMac2At, m.responseBytes], [60, 76, 92]);
  t.same([m.cookieReceiverAt, m.cookieNonceAt, m.cookieSealedAt, m.cookieReplyBytes], [4, 8, 32, 64]);
  t.equal(cookie.cookieReplyBytes, m.cookieReplyBytes);
  t.same([m.dataReceiverAt, m.dataCounterAt, m.dataHeaderBytes, m.keepaliveBytes], [4, 8, 16, 32]);
});

t.test('W2 exact lengths per type, all others refused', async t => {
  const legal: Record<number, (n: number) => boolean> = {
    1: n => n === 148,
    2: n => n === 92,
    3: n => n === 64,
    4: n => n >= 32,
  };
  let wrong = 0;
  for (let type = 0; type < 256; type++)
    for (let bytes = 0; bytes <= 160; bytes++)
      if (m.isLegalLength(type, bytes) !== (legal[type]?.(bytes) ?? false)) wrong++;
  t.equal(wrong, 0);
  t.ok(m.isLegalLength(4, 65_507));
});

t.test('D5 pads to 16 within the MTU', async t => {
  for (let bytes = 0; bytes <= 1420; bytes++) {
    const padded = m.paddedLength(bytes, 1420);
    if (padded !== Math.min(1420, Math.ceil(bytes / 16) * 16)) t.fail(`${bytes} -> ${padded}`);
  }
  t.equal(m.paddedLength(0, 1420), 0, 'a keepalive stays empty');
  t.equal(m.paddedLength(1409, 1420), 1420, 'clamped');
  t.equal(m.paddedLength(1420, 1420), 1420);
  t.equal(m.paddedLength(1421, 1420), 1420 + 16, 'beyond the MTU: the rest as a packet of its own');
  t.equal(m.paddedLength(2840, 1420), 2840);
  t.equal(m.paddedLength(1300, 1299), 1300 + 15);
  t.equal(m.paddedLength(1360, 1299), 1360 + 3);
  t.equal(m.paddedLength(33, 0), 48, 'no MTU known');
});
