// The grammar of rtnetlink messages: what we build, and what we make of good and bad ones.

import t from 'tap';
import { Arena } from '../../../src/util/arena.ts';
import { attributes, bytesOf, Message, replies, textOf } from '../../../src/platform/net/netlinkmessage.ts';

const arena = new Arena(new ArrayBuffer(8192));
const message = new Message(arena, 256);

t.test('built and read back', async t => {
  message.begin(24, 0x405).u8(2, 16, 0, 0).u16(0x1234).u16(0).u32(7, 0xffff_ffff);
  message
    .attribute(1, Uint8Array.of(10, 8, 0))
    .attribute32(4, 99)
    .attributeText(3, 'wg0');
  const bytes = message.finish(5);
  t.equal(bytes, 16 + 16 + 8 + 8 + 8);
  const [reply, ...more] = [...replies(arena, message.at, bytes)];
  t.equal(more.length, 0);
  t.match(reply, { type: 24, sequence: 5 });
  t.equal(arena.view.getUint16(message.at + 6, true), 0x405, 'flags, with REQUEST');
  t.equal(reply!.body.getUint32(12, true), 0xffff_ffff);
  const found = attributes(reply!.body, 16);
  t.strictSame([...found.keys()], [1, 4, 3]);
  t.strictSame(bytesOf(found.get(1)!), Uint8Array.of(10, 8, 0));
  t.equal(found.get(4)!.getUint32(0, true), 99);
  t.equal(textOf(found.get(3)!), 'wg0');
});

t.test('two in one datagram, then one that does not fit', async t => {
  const at = arena.alloc(64);
  for (const start of [0, 20]) {
    arena.view.setUint32(at + start, start === 0 ? 18 : 16, true);
    arena.view.setUint16(at + start + 4, start + 1, true);
  }
  arena.view.setUint32(at + 36, 400, true);
  t.strictSame(
    [...replies(arena, at, 60)].map(reply => [reply.type, reply.body.byteLength]),
    [
      [1, 2],
      [21, 0],
    ],
  );
  arena.view.setUint32(at, 3, true);
  t.equal([...replies(arena, at, 60)].length, 0);
});

t.test('attributes that lie end the reading; flags are taken off the type', async t => {
  const body = new DataView(new ArrayBuffer(24));
  body.setUint16(0, 4, true);
  body.setUint16(2, 0x8001, true);
  body.setUint16(4, 3, true);
  t.strictSame([...attributes(body, 0).keys()], [1]);
  body.setUint16(4, 21, true);
  t.strictSame([...attributes(body, 0).keys()], [1]);
  body.setUint16(4, 20, true);
  t.equal(attributes(body, 0).size, 2);
});

t.test('too long a message is our own mistake', async t => {
  t.throws(() => message.begin(1, 0).attribute(1, new Uint8Array(256)), /too long/);
});
