import t from 'tap';
import { createLog, type LogOptions } from '../../src/agent/log.ts';

function lines(options: Partial<LogOptions>, act: (log: ReturnType<typeof createLog>) => void): string[] {
  const out: string[] = [];
  act(
    createLog({ level: 'info', sink: line => out.push(line), environment: {}, wallMs: () => 0, ...options }),
  );
  return out;
}

t.test('one line per event, with a threshold', async t => {
  const all = (log: ReturnType<typeof createLog>): void => {
    log.error('e');
    log.warn('w');
    log.info('i');
    log.debug('d');
  };
  t.strictSame(lines({}, all), [
    '1970-01-01T00:00:00.000Z error: e\n',
    '1970-01-01T00:00:00.000Z warn: w\n',
    '1970-01-01T00:00:00.000Z info: i\n',
  ]);
  t.equal(lines({ level: 'silent' }, all).length, 0);
  t.equal(lines({ level: 'debug' }, all).length, 4);
  t.equal(lines({ level: 'error' }, all).length, 1);
});

t.test('the collector adds its own time', async t => {
  const one = (log: ReturnType<typeof createLog>): void => log.warn('x');
  t.strictSame(lines({ environment: { JOURNAL_STREAM: '8:1' } }, one), ['<4>warn: x\n']);
  t.strictSame(lines({ environment: { SALLYPORT_LOG_TIME: '0' }, prefix: '(wg0) ' }, one), [
    'warn: (wg0) x\n',
  ]);
});

t.test('JSON', async t => {
  const [line] = lines({ format: 'json' }, log => log.info('a "b"'));
  t.strictSame(JSON.parse(line!), { time: '1970-01-01T00:00:00.000Z', level: 'info', message: 'a "b"' });
});

t.test('nobody forges a line', async t => {
  t.strictSame(
    lines({ environment: { SALLYPORT_LOG_TIME: '0' } }, log => log.info('a\nerror: b\x1b[31m\u2028c')),
    ['info: a error: b [31m c\n'],
  );
});

t.test('standard error by default', async t => {
  const written = t.capture(process.stderr, 'write', () => true);
  createLog({ level: 'info' }).info('to the terminal');
  t.match(written.args()[0]?.[0], /info: to the terminal\n$/);
});
