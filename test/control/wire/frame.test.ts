import t from 'tap';
import { reader } from '../../../src/control/wire/frame.ts';
import { count, literal, object } from '../../../src/control/validate.ts';

type Frame = { readonly type: 'ping'; readonly n: number };
const read = reader<Frame>({ ping: object({ type: literal('ping'), n: count }) });

t.test('a frame, without what nobody asked for', async t => {
  t.same(read('{"type":"ping","n":1,"extra":2}'), { kind: 'frame', frame: { type: 'ping', n: 1 } });
});

t.test('unknown is not malformed', async t => {
  t.same(read('{"type":"future","x":1}'), { kind: 'unknown', type: 'future' });
  t.same(read('{"type":"constructor"}'), { kind: 'unknown', type: 'constructor' });
  t.same(read(`{"type":"${'x'.repeat(100)}"}`), { kind: 'unknown', type: 'x'.repeat(32) });
  t.same(read('{'), { kind: 'malformed', error: 'not JSON' });
  for (const text of ['null', '1', '[]', '{}', '{"type":1}'])
    t.same(read(text), { kind: 'malformed', error: 'type must be a string' });
  t.match(read('{"type":"ping"}'), { kind: 'malformed', error: /^ping: / });
});
