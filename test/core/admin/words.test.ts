import t from 'tap';
import { listOption, numberOption, readWords } from '../../../src/core/admin/words.ts';

t.test('positions and options in any order', async t => {
  const words = readWords('user add', ['--groups=a, b', 'ada', '--force', '--n', '3'], ['NAME'], {
    groups: true,
    force: false,
    n: true,
  });
  t.same(words.positions, ['ada']);
  t.same(listOption(words, 'groups'), ['a', 'b']);
  t.equal(words.options.has('force'), true);
  t.equal(numberOption(words, 'n', 'things'), 3);
  t.equal(numberOption(words, 'm', 'things'), undefined);
  t.equal(listOption(words, 'm'), undefined);
  t.same(readWords('x', [], ['[MAYBE]'], {}).positions, []);
});

t.test('mistakes are named and are usage errors', async t => {
  const read = (args: string[]): unknown => readWords('user add', args, ['NAME'], { groups: true });
  t.throws(() => read([]), { message: /usage: sallyport core user add NAME \[--groups …\]/ });
  t.throws(() => read(['a', 'b']), { code: 'arguments' });
  t.throws(() => read(['a', '--toString']), { message: /known are --groups/ });
  t.throws(() => read(['a', '--groups']), { message: /wants a value/ });
  t.throws(() => readWords('x', ['--y'], [], {}), { message: /has none/ });
  t.throws(() => numberOption(readWords('x', ['--n=1e3'], [], { n: true }), 'n', 'hours'), {
    message: /whole number of hours/,
  });
});
