// Log lines: forms, levels, bounds, and nothing secret.

import t from 'tap';
import { createLog, levelOf, logLevels, silentLog } from '../../src/control/log.ts';
import type { LogOptions } from '../../src/control/log.ts';

function logged(options: Partial<LogOptions> = {}): { lines: string[]; log: ReturnType<typeof createLog> } {
  const lines: string[] = [];
  const log = createLog({
    level: 'info',
    environment: {},
    wallMs: () => Date.UTC(2026, 4, 1),
    write: line => lines.push(line),
    ...options,
  });
  return { lines, log };
}

t.test('text', async t => {
  const { lines, log } = logged({ area: 'wg0' });
  log.info('peer logged out', { reason: 'stale', seconds: 180, note: 'a b', gone: undefined, none: null });
  log.debug('not shown');
  t.strictSame(lines, [
    '2026-05-01T00:00:00.000Z info: wg0: peer logged out reason=stale seconds=180 note="a b" none=null\n',
  ]);
});

t.test('under systemd and procd', async t => {
  const journal = logged({ environment: { JOURNAL_STREAM: '8:1' }, level: 'trace' });
  for (const level of logLevels) journal.log[level]('x');
  t.strictSame(journal.lines, [
    '<3>error: x\n',
    '<4>warn: x\n',
    '<6>info: x\n',
    '<7>debug: x\n',
    '<7>trace: x\n',
  ]);
  const procd = logged({ environment: { SALLYPORT_LOG_TIME: '0' } });
  procd.log.warn('x');
  t.strictSame(procd.lines, ['warn: x\n']);
});

t.test('JSON', async t => {
  const { lines, log } = logged({ format: 'json' });
  log.error('no\nway', { n: 1 });
  t.strictSame(JSON.parse(lines[0]!), {
    time: '2026-05-01T00:00:00.000Z',
    level: 'error',
    message: 'no way',
    n: 1,
  });
  log.error('x', { long: 'y '.repeat(2500) });
  t.strictSame(JSON.parse(lines[1]!), { message: 'x', cut: true });
});

t.test('levels', async t => {
  const { lines, log } = logged({ level: 'silent' });
  log.error('x');
  t.equal(log.isOn('error'), false);
  t.equal(logged().log.isOn('info'), true);
  t.equal(lines.length, 0);
  silentLog.error('nobody hears this');
  t.equal(levelOf(undefined), 'info');
  t.equal(levelOf('trace'), 'trace');
  t.throws(() => levelOf('loud'), /log-level must be one of error, .*, not "loud"/);
});

t.test('no line can be forged, none is endless, no secret is shown', async t => {
  const { lines, log } = logged({ environment: { SALLYPORT_LOG_TIME: '0' } });
  log.info('name\r\nerror: all is lost\u001b[2J\u2028x', {
    note: 'a\nb',
    presharedKey: 'abc',
    psk: 1,
    apiToken: 'q',
  });
  t.equal(
    lines[0],
    'info: name error: all is lost [2J x note="a b" presharedKey=[hidden] psk=[hidden] apiToken=[hidden]\n',
  );
  log.info('z '.repeat(4500));
  t.ok(lines[1]!.length < 2100);
});

t.test('what looks like a secret is cut at every level', async t => {
  const { lines, log } = logged({ level: 'trace' });
  const secrets = [
    `sps_${'a'.repeat(32)}`,
    `spe_${'B'.repeat(32)}`,
    'sp1.eyJ2IjoxfQ.c2lnbmF0dXJl',
    'xwing.AAAAAAAAAAAA',
    'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=',
    'f'.repeat(64),
  ];
  for (const secret of secrets) {
    log.trace(`got ${secret} here`, { value: secret });
    const line = lines.at(-1)!;
    t.notOk(line.includes(secret), secret.slice(0, 8));
    t.match(line, /\[cut\] here value=.*\[cut\]/);
  }
  const path = `/${'long-directory/'.repeat(9)}core`;
  log.info('id', { session: 's_wvvu4pizr9ypvjvv8m9b', path });
  t.ok(lines.at(-1)!.includes(`session=s_wvvu4pizr9ypvjvv8m9b path=${path}\n`));
});

t.test('a flood is summed up; warnings are not held back', async t => {
  let now = 5000;
  const { lines, log } = logged({ wallMs: () => now });
  for (let i = 0; i < 1000; i++) log.info('again');
  log.warn('trouble');
  t.equal(lines.length, 201);
  now += 1000;
  log.info('later');
  t.match(lines[201], /warn: log lines left out lines=800/);
  t.match(lines[202], /later/);
});

t.test('stderr itself', async t => {
  createLog({ level: 'silent' }).error('nothing');
  t.doesNotThrow(() => createLog({ level: 'error' }).error('this line of the log test is expected'));
});
