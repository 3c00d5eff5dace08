import t from 'tap';
import { formatUci, parseUci, quote } from '../../../src/agent/config/uci.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

const plain = (text: string): object => {
  const { package: name, sections, problems } = parseUci(text);
  return {
    name,
    problems,
    sections: sections.map(({ type, name: own, options }) => [type, own, Object.fromEntries(options)]),
  };
};
const only = (text: string): unknown => parseUci(`config a b\n${text}`).sections[0]!.options.get('x');

t.test('sections, options and lists', async t => {
  t.same(
    plain(`package sallyport

config globals
\toption log_level 'info'   # a comment
config gateway 'main'
\toption enabled '1'
\tlist addresses '10.77.0.1/24'
\tlist addresses 'fd77::1/64'
`),
    {
      name: 'sallyport',
      problems: [],
      sections: [
        ['globals', null, { log_level: 'info' }],
        ['gateway', 'main', { enabled: '1', addresses: ['10.77.0.1/24', 'fd77::1/64'] }],
      ],
    },
  );
});

t.test('first letters, semicolons, later option wins, a section given twice is one', async t => {
  t.same(plain('p x; c t s; o a 1; o a 2; l b 1\nc t s; o c 3'), {
    name: 'x',
    problems: [],
    sections: [['t', 's', { a: '2', b: ['1'], c: '3' }]],
  });
});

t.test('an option that becomes a list keeps its first value', async t => {
  t.same(only("option x '1'\nlist x '2'"), ['1', '2']);
  t.same(only("list x '1'\noption x '2'"), '2');
});

t.test('quoting', async t => {
  const cases: [string, string][] = [
    [`option x 'it'\\''s'`, "it's"],
    [`option x "a \\"b\\" c"`, 'a "b" c'],
    [`option x a\\ b`, 'a b'],
    [`option x 'two\nlines'`, 'two\nlines'],
    [`option x a\\\nb`, 'ab'],
    [`option x pre'mid'"post"`, 'premidpost'],
    [`option x 'a#b;c'`, 'a#b;c'],
    [`option x a#b`, 'a'],
    [`option x ''`, ''],
    [`option x '\\'`, '\\'],
  ];
  for (const [text, value] of cases) t.equal(only(text), value, text);
});

t.test('lines are counted over quotes', async t => {
  t.same(parseUci("config a b\noption x '1\n2'\nnonsense y z").problems, [
    "line 4: 'nonsense': expected config, option or list",
  ]);
});

t.test('bad lines are skipped and told', async t => {
  const cases: [string, RegExp][] = [
    ['option x 1', /stands in no section/],
    ['config', /type is missing/],
    ['config a$b', /is not a type/],
    ["config a 'b c'", /is not a name/],
    ['config a b\noption x', /expected option NAME/],
    ["config a b\noption x-y '1'", /expected option NAME/],
    ['config a b\noption x y z', /'z' is too much/],
    ["config a b\noption x 'y", /quote is not closed/],
    ['config a b\noption x "y', /quote is not closed/],
    ['package', /name is missing/],
  ];
  for (const [text, why] of cases) {
    const { problems } = parseUci(text);
    t.equal(problems.length, 1, text);
    t.match(problems[0], why, text);
  }
});

t.test('a section with a bad head takes its options with it', async t => {
  t.same(plain("config a b\noption x 1\nconfig 'bad name' y\noption x 2"), {
    name: null,
    problems: ["line 3: config: 'bad name' is not a type", 'line 4: x stands in no section'],
    sections: [['a', 'b', { x: '1' }]],
  });
});

t.test('what is written reads the same', async t => {
  const rng = seeded(seedOf(7));
  const alphabet = [...`ab'"\\;# \n\té€`];
  for (let i = 0; i < 500; i++) {
    const value = (): string => Array.from({ length: rng.below(12) }, () => rng.pick(alphabet)).join('');
    const file = {
      package: 'p',
      sections: [
        {
          type: 't',
          name: i % 2 === 0 ? 'n' : null,
          line: 1,
          options: new Map<string, string | string[]>([['x', value()]]),
        },
        {
          type: 't',
          name: 'm',
          line: 1,
          options: new Map<string, string | string[]>([['l', [value(), value()]]]),
        },
      ],
    };
    const again = parseUci(formatUci(file));
    t.same(again.problems, []);
    t.same(
      again.sections.map(({ type, name, options }) => [type, name, [...options]]),
      file.sections.map(({ type, name, options }) => [type, name, [...options]]),
    );
  }
  t.equal(quote("it's"), `'it'\\''s'`);
});

t.test('fuzz: any text is read', async t => {
  const rng = seeded(seedOf(8));
  const pieces = ['config', ' ', '\n', "'", '"', '\\', ';', '#', 'option', 'list', 'a', '\t', 'é'];
  for (let i = 0; i < 3000; i++)
    parseUci(Array.from({ length: rng.below(30) }, () => rng.pick(pieces)).join(''));
  t.pass('3000 texts');
});
