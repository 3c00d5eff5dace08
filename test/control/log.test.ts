import t from 'tap';
import { createLog, silentLog } from '../../src/control/log.ts';

function lines(
  level: Parameters<typeof createLog>[1],
  act: (log: ReturnType<typeof createLog>) => void,
): string[] {
  const written: string[] = [];
  act(createLog('core', level, line => written.push(line)));
  return written;
}

t.test('levels', async t => {
  const all = (log: ReturnType<typeof createLog>): void => {
    log.error('e');
    log.warn('w');
    log.info('i');
    log.debug('d');
    log.trace('t');
  };
  t.same(lines('warn', all), ['error core: e', 'warn core: w']);
  t.equal(lines('trace', all).length, 5);
  silentLog.error('nobody hears this');
});

t.test('fields, and nothing that forges a line', async t => {
  t.same(
    lines('info', log =>
      log.info('agent away', { agent: 'a_1', code: 1006, why: 'no "route"', none: undefined }),
    ),
    ['info core: agent away agent=a_1 code=1006 why="no \\"route\\""'],
  );
  t.same(
    lines('info', log => log.info('x\nerror core: y', { z: 'a\nb' })),
    ['info core: x error core: y z="a b"'],
  );
});

t.test('what looks like a secret is cut at every level', async t => {
  const secrets = [
    `sps_${'a'.repeat(32)}`,
    `spe_${'B'.repeat(32)}`,
    'sp1.eyJ2IjoxfQ.c2lnbmF0dXJl',
    'xwing.AAAAAAAAAAAA',
    'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=',
    'f'.repeat(64),
  ];
  for (const secret of secrets) {
    const [line] = lines('trace', log => log.trace(`got ${secret} here`, { value: secret }));
    t.notOk(line!.includes(secret), secret.slice(0, 8));
    t.match(line, /\[cut\] here value=.*\[cut\]/);
  }
  t.match(
    lines('info', log => log.info('id', { session: 's_wvvu4pizr9ypvjvv8m9b' }))[0],
    /session=s_wvvu4pizr9ypvjvv8m9b/,
  );
});
