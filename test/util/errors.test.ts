import t from 'tap';
import { errorText, PlainError, usageError } from '../../src/util/errors.ts';

t.test('a run-time error exits with 1, a usage error with 2', async t => {
  const error = new PlainError('tun-open', '/dev/net/tun: cannot be opened');
  t.ok(error instanceof Error);
  t.match(error, {
    name: 'PlainError',
    code: 'tun-open',
    exit: 1,
    message: '/dev/net/tun: cannot be opened',
  });
  t.notOk('cause' in error);
  t.match(usageError('bad-port', '--port 99999: 0 to 65535 expected'), { code: 'bad-port', exit: 2 });
});

t.test('the cause is kept', async t => {
  const cause = new Error('ENOENT');
  t.equal(new PlainError('a', 'b', 1, cause).cause, cause);
  t.equal(usageError('a', 'b', cause).cause, cause);
});

t.test('errorText is one line of whatever was thrown', async t => {
  t.equal(errorText(new Error('first\n  second\r\nthird')), 'first; second; third');
  t.equal(errorText('text'), 'text');
  t.equal(errorText(undefined), 'undefined');
  t.equal(errorText(null), 'null');
  t.equal(errorText(new PlainError('code', 'plain')), 'plain');
});
