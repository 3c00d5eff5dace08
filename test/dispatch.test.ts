import t, { type Test } from 'tap';
import { dispatch, type Roles } from '../src/dispatch.ts';
import { PlainError } from '../src/util/errors.ts';

/** What came of it: the status and both streams. */
async function said(
  t: Test,
  args: string[],
): Promise<{ code: number; out: string; error: string; ran: string[][] }> {
  const ran: string[][] = [];
  const role = (act: () => number, more: object = {}) => ({
    usage: '[--loud]',
    load: () =>
      Promise.resolve((given: string[]) => {
        ran.push(given);
        return Promise.resolve(act());
      }),
    ...more,
  });
  const roles: Roles = {
    fine: role(() => 0),
    no: role(() => 1),
    wise: role(() => 0, { ownHelp: true }),
    wrong: role(() => {
      throw new PlainError('odd', 'this is wrong', 2);
    }),
    broken: role(() => {
      throw new TypeError('a bug');
    }),
  };
  const [out, error] = [t.capture(process.stdout, 'write'), t.capture(process.stderr, 'write')];
  const code = await dispatch(roles, args);
  const text = (calls: { args: unknown[] }[]): string => calls.map(call => String(call.args[0])).join('');
  const result = { code, out: text(out()), error: text(error()), ran };
  out.restore();
  error.restore();
  return result;
}

t.test('a word to a role, which gets what is behind it', async t => {
  t.match(await said(t, ['fine', '--loud', 'x']), { code: 0, out: '', error: '', ran: [['--loud', 'x']] });
  t.match(await said(t, ['no']), { code: 1, ran: [[]] });
});

t.test('help of all and of each; a role that has more to say says it itself', async t => {
  for (const word of ['help', '--help', '-h'])
    t.match(await said(t, [word]), { code: 0, out: /^usage:\n {2}sallyport fine \[--loud\]\n/ });
  t.match(await said(t, []), { code: 2, out: /^usage:/ });
  for (const word of ['--help', '-h'])
    t.match(await said(t, ['fine', word]), { code: 0, out: 'usage: sallyport fine [--loud]\n', ran: [] });
  t.match(await said(t, ['wise', '--help']), { code: 0, out: '', ran: [['--help']] });
});

t.test('what goes wrong is one line, a bug keeps its stack', async t => {
  t.match(await said(t, ['dance']), {
    code: 2,
    error: /^sallyport: unknown command 'dance': expected one of fine, no/,
  });
  t.match(await said(t, ['constructor']), { code: 2 });
  t.strictSame((await said(t, ['wrong'])).error, 'sallyport wrong: this is wrong\n');
  t.equal((await said(t, ['wrong'])).code, 2);
  t.match(await said(t, ['broken']), { code: 1, error: /^sallyport broken: TypeError: a bug\n.*at /s });
});
