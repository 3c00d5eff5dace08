import t from 'tap';
import { run } from '../../src/agent/bench.ts';

t.test('numbers for machines, lines for people', async t => {
  const said: string[] = [];
  const say = (text: string): void => void said.push(text);
  t.equal(await run(['--json', '--seconds', '0.1'], say), 0);
  const report = JSON.parse(said[0]!) as Record<string, number | string>;
  for (const name of ['bitsPerSecond', 'packetsPerSecond', 'handshakesPerSecond'])
    t.ok(Number.isInteger(report[name]) && Number(report[name]) > 0, `${name}: ${report[name]}`);
  t.type(report['crypto'], 'string');
  t.equal(await run(['--seconds', '0.05'], say), 0);
  t.match(
    said[1],
    /^[0-9.]+ Gbit\/s in full packets\n\d+ lone packets a second\n\d+ handshakes a second\nboth ends/,
  );
});

t.test('arguments', async t => {
  for (const args of [['--fast'], ['--seconds'], ['--seconds', '0'], ['--seconds', '61'], ['--seconds', 'x']])
    await t.rejects(
      run(args),
      { code: 'argument', exit: 2, message: /expected bench \[--json\]/ },
      args.join(' '),
    );
});
