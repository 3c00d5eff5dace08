import t from 'tap';
import {
  encodeMessage,
  MessageReader,
  messageType,
  readString,
  readWord,
  string,
  ubusAttribute,
  word,
} from '../../../src/agent/ubus/message.ts';
import { toHex } from '../../../src/util/bytes.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

// By hand, from libubus ubusmsg.h: version 0, type, seq, peer, then one blob with the attributes inside.
const invoke = '00 05 0102 00000077 00000018 0300000800000077 0400000b7374617475730000'.replaceAll(' ', '');

t.test('a message as bytes', async t => {
  const bytes = encodeMessage(messageType.invoke, 0x0102, 0x77, [
    word(ubusAttribute.objectId, 0x77),
    string(ubusAttribute.method, 'status'),
  ]);
  t.equal(toHex(bytes), invoke);
});

t.test('read whole, byte by byte, and two at once', async t => {
  const bytes = encodeMessage(messageType.invoke, 0x0102, 0x77, [
    word(ubusAttribute.objectId, 0x77),
    string(ubusAttribute.method, 'status'),
  ]);
  const [message] = new MessageReader().push(bytes)!;
  t.equal(message!.type, messageType.invoke);
  t.equal(message!.seq, 0x0102);
  t.equal(message!.peer, 0x77);
  t.equal(readWord(message!, ubusAttribute.objectId), 0x77);
  t.equal(readString(message!, ubusAttribute.method), 'status');
  t.equal(readWord(message!, ubusAttribute.method), null);
  t.equal(readString(message!, ubusAttribute.user), null);

  const slow = new MessageReader();
  const found = [...bytes].flatMap(byte => slow.push(Uint8Array.of(byte))!);
  t.same(found, [message]);
  t.equal(new MessageReader().push(Uint8Array.from([...bytes, ...bytes]))!.length, 2);
});

t.test('a stream that makes no sense ends', async t => {
  const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex');
  t.equal(new MessageReader().push(bytes('01 00 0000 00000000 00000004')), null, 'another version');
  t.equal(new MessageReader().push(bytes('00 00 0000 00000000 00000003')), null, 'too short a blob');
  t.equal(new MessageReader().push(bytes('00 00 0000 00000000 00ffffff')), null, 'too long a blob');
  t.equal(
    new MessageReader().push(bytes('00 00 0000 00000000 0000000c 0300000900000000')),
    null,
    'a bad attribute',
  );
});

t.test('fuzz: hostile bytes never throw', async t => {
  const rng = seeded(seedOf(4));
  for (let i = 0; i < 3000; i++) {
    const bytes = encodeMessage(5, i, 1, [word(3, 1), string(4, 'x'.repeat(rng.below(9)))]);
    for (let k = rng.below(4); k >= 0; k--) bytes[rng.below(bytes.length)] = rng.below(256);
    new MessageReader().push(bytes);
  }
  t.pass('3000 messages');
});
