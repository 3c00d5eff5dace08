import t, { type Test } from 'tap';
import {
  choice,
  coreUrl,
  duration,
  durationText,
  flag,
  type Form,
  hostAddress,
  integer,
  list,
  listenAddress,
  network,
} from '../../../src/agent/config/optiontypes.ts';
import { formatPrefix } from '../../../src/util/inet.ts';

function check<T>(
  t: Test,
  form: Form<T>,
  good: readonly (readonly [unknown, unknown])[],
  bad: readonly unknown[],
): void {
  const parse = (value: unknown): ReturnType<Form<T>['value']> =>
    typeof value === 'string' ? form.text(value) : form.value(value);
  for (const [given, value] of good) t.strictSame(parse(given), { ok: true, value }, JSON.stringify(given));
  for (const given of bad) {
    const result = parse(given);
    t.notOk(result.ok, JSON.stringify(given));
    t.match(!result.ok && result.expected, /^.+$/);
  }
}

t.test('numbers', async t => {
  check(
    t,
    integer(0, 100),
    [
      ['0', 0],
      ['100', 100],
      [7, 7],
      ['0x10', 16],
      ['007', 7],
    ],
    ['', '-1', '101', '1.5', 'x', 1.5, -1, 101, true, null, '1e1'],
  );
});

t.test('booleans', async t => {
  check(
    t,
    flag,
    [
      ['1', true],
      ['on', true],
      ['no', false],
      ['disabled', false],
      [true, true],
    ],
    ['', 'maybe', 1, null],
  );
  t.notOk(flag.value('true').ok, 'in a file booleans have no quotes');
});

t.test('choices', async t => {
  check(t, choice('a', 'b'), [['a', 'a']], ['', 'c', 1]);
});

t.test('durations', async t => {
  check(
    t,
    duration(1000, 86_400_000),
    [
      ['90s', 90_000],
      ['15m', 900_000],
      ['24h', 86_400_000],
      ['1d', 86_400_000],
      ['1500ms', 1500],
      ['2', 2000],
      [3, 3000],
    ],
    ['', '500ms', '25h', '1w', '-1s', '1.5h', 's', 0, 1.5, true],
  );
  t.equal(durationText(90_000), '90s');
  t.equal(durationText(86_400_000), '1d');
  t.equal(durationText(1), '1ms');
  t.equal(durationText(0), '0ms');
});

t.test('lists', async t => {
  const form = list(integer(0, 9));
  check(
    t,
    form,
    [
      ['1,2 3', [1, 2, 3]],
      ['', []],
      [
        [4, 5],
        [4, 5],
      ],
    ],
    ['1,x', 5, [10], ['1'], {}],
  );
});

t.test('networks and addresses', async t => {
  const text = (form: typeof network, given: string): string | null => {
    const parsed = form.text(given);
    return parsed.ok ? formatPrefix(parsed.value) : null;
  };
  t.equal(text(network, '10.77.0.0/16'), '10.77.0.0/16');
  t.equal(text(network, '10.77.0.1/16'), null, 'host bits are a slip of the pen');
  t.match(network.text('10.77.0.1/16'), { expected: 'the network address, here 10.77.0.0/16' });
  t.equal(text(network, '10.77.0.0'), null);
  t.equal(text(network, 'fd00::/8'), 'fd00::/8');
  t.equal(text(hostAddress, '10.77.0.1/16'), '10.77.0.1/16');
  t.equal(text(hostAddress, '10.77.0.1'), null);
  t.notOk(network.value(5).ok);
});

t.test('where to listen', async t => {
  check(
    t,
    listenAddress,
    [
      ['127.0.0.1:9586', { host: '127.0.0.1', port: 9586 }],
      ['[::1]:1', { host: '::1', port: 1 }],
      ['localhost:0', { host: 'localhost', port: 0 }],
      ['off', null],
    ],
    ['', ':1', '127.0.0.1', '127.0.0.1:65536', '1.2.3:4', '[x]:1', 'example.com:1', 9586],
  );
});

t.test('the way to Core', async t => {
  check(
    t,
    coreUrl,
    [
      ['https://core.example:8443/', 'https://core.example:8443'],
      ['http://10.0.0.1', 'http://10.0.0.1'],
      ['https://a/b/', 'https://a/b'],
    ],
    ['', 'core.example', 'ftp://x', 'https://user:pw@x', 5],
  );
});
