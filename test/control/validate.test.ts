import t from 'tap';
import {
  base64,
  boolean,
  bytesOf,
  check,
  id,
  integer,
  key32,
  label,
  list,
  literal,
  object,
  optional,
  pattern,
  prefixText,
  read,
  string,
} from '../../src/control/validate.ts';

const key = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

t.test('an object keeps what is known and names what is wrong', async t => {
  const shape = object({ name: label, port: integer(1, 65535), tags: optional(list(id, 2)) });
  t.same(read(shape, '{"name":"ada","port":7,"more":1}'), { ok: true, value: { name: 'ada', port: 7 } });
  const error = (text: string): string | null => {
    const result = read(shape, text);
    return result.ok ? null : result.error;
  };
  t.equal(error('{'), 'not JSON');
  t.equal(error('[]'), 'the value must be an object');
  t.equal(error('{"name":"a"}'), 'port must be present');
  t.equal(error('{"name":"a","port":0}'), 'port must be a whole number from 1 to 65535');
  t.equal(error('{"name":"a","port":1.5}'), 'port must be a whole number from 1 to 65535');
  t.match(error('{"name":"a","port":1,"tags":["ok","no way"]}'), /^tags\[1\] must be an identifier/);
  t.match(error('{"name":"a","port":1,"tags":["a","b","c"]}'), /^tags must be a list of 0 to 2/);
  t.match(error('{"name":"a","port":1,"tags":null}'), /^tags must be a list/, 'null is not absence');
  t.match(error('{"name":"two\\nlines","port":1}'), /^name must be/);
});

t.test('inherited names are not fields', async t => {
  const shape = object({ constructor: optional(string(5)), toString: string(5) });
  t.same(read(shape, '{}'), { ok: false, error: 'toString must be present' });
  t.same(read(shape, '{"__proto__":{"toString":"x"}}'), { ok: false, error: 'toString must be present' });
});

t.test('base64 has one form and one length', async t => {
  t.same(check(key32, key), { ok: true, value: key });
  for (const bad of [
    key.slice(1),
    `${key}A`,
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=',
    key.replace('=', 'A'),
    7,
  ])
    t.equal(check(key32, bad).ok, false);
  t.ok(check(base64(1), 'AA==').ok);
  t.equal(bytesOf(key).length, 32);
  t.throws(() => bytesOf('?'));
});

t.test('scalars', async t => {
  t.ok(check(boolean, false).ok);
  t.notOk(check(boolean, 0).ok);
  t.ok(check(literal('a', 'b'), 'b').ok);
  t.notOk(check(literal('a', 'b'), 'toString').ok);
  t.ok(check(pattern(/^x$/, 'an x'), 'x').ok);
  t.same(check(pattern(/^x$/, 'an x'), 'xx'), { ok: false, error: 'the value must be an x' });
  t.notOk(check(string(3, 1), '').ok);
  for (const bad of ['-x', '', 'a b', 'a'.repeat(65), 'ä']) t.notOk(check(id, bad).ok, bad);
});

t.test('a bug in a shape is not mistaken for bad input', async t => {
  const broken = (): never => {
    throw new TypeError('ours');
  };
  t.throws(() => read(broken, '1'), TypeError);
});

t.test('a prefix stays text', async t => {
  for (const text of ['10.77.0.2/32', '10.77.0.2', 'fd00::/64'])
    t.same(check(prefixText, text), { ok: true, value: text });
  for (const bad of ['10.77.0.2/33', 'gate.example', 7]) t.equal(check(prefixText, bad).ok, false);
});
