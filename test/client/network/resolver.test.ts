import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Resolver } from '../../../src/client/network/resolver.ts';
import type { Run } from '../../../src/client/network/resolver.ts';

/** A machine where only some programs are there, and what they were told. */
function machine(...programs: string[]): { run: Run; said: string[] } {
  const said: string[] = [];
  const run: Run = (program, args, input) => {
    if (!programs.includes(program)) return Promise.reject(new Error(`spawn ${program} ENOENT`));
    said.push([program, ...args].join(' ') + (input === '' ? '' : ` < ${JSON.stringify(input)}`));
    return Promise.resolve();
  };
  return { run, said };
}

t.test('systemd-resolved: for the interface, and before all others', async t => {
  const { run, said } = machine('resolvectl', 'resolvconf');
  const resolver = new Resolver('sp-office', run);
  await resolver.use(['10.66.0.1', 'fd66::1']);
  t.strictSame(said, ['resolvectl dns sp-office 10.66.0.1 fd66::1', 'resolvectl domain sp-office ~.']);
  await resolver.drop();
  await resolver.drop();
  t.strictSame(said.slice(2), ['resolvectl revert sp-office'], 'taken back once');
});

t.test('resolvconf, where systemd-resolved is not there or not running', async t => {
  const { run, said } = machine('resolvconf');
  const resolver = new Resolver('sp-office', run);
  await resolver.use(['10.66.0.1', 'fd66::1']);
  t.strictSame(said, ['resolvconf -a sp-office -m 0 -x < "nameserver 10.66.0.1\\nnameserver fd66::1\\n"']);
  await resolver.drop();
  t.equal(said.at(-1), 'resolvconf -f -d sp-office');
});

t.test('half of it is undone before the next is asked', async t => {
  const { run, said } = machine('resolvectl', 'resolvconf');
  const resolver = new Resolver('sp-office', (program, args, input) =>
    args[0] === 'domain' ? Promise.reject(new Error('old')) : run(program, args, input),
  );
  await resolver.use(['10.66.0.1']);
  t.match(said, [/^resolvectl dns/, 'resolvectl revert sp-office', /^resolvconf -a/]);
});

t.test('nobody there: said in one line; none wanted: nothing done', async t => {
  const { run, said } = machine();
  const resolver = new Resolver('sp-office', run);
  await t.rejects(resolver.use(['10.66.0.1']), {
    code: 'no-resolver',
    message: /at 10\.66\.0\.1, .*resolvconf/,
  });
  await resolver.use([]);
  await resolver.drop();
  t.strictSame(said, []);
});

t.test('a location that wants none any more gives back what was in use', async t => {
  const { run, said } = machine('resolvconf');
  const resolver = new Resolver('sp-office', run);
  await resolver.use(['10.66.0.1']);
  await resolver.use([]);
  t.equal(said.at(-1), 'resolvconf -f -d sp-office');
});

t.test('an end that comes while servers are taken into use is obeyed after it', async t => {
  const { run, said } = machine('resolvconf');
  let go = (): void => undefined;
  const resolver = new Resolver('sp-office', async (program, args, input) => {
    if (args[0] === '-a') await new Promise<void>(resolve => (go = resolve));
    return run(program, args, input);
  });
  const using = resolver.use(['10.66.0.1']);
  const dropped = resolver.drop();
  while (said.length === 0) {
    go();
    await new Promise(setImmediate);
  }
  await Promise.all([using, dropped]);
  t.match(said, [/-a sp-office/, 'resolvconf -f -d sp-office']);
});

t.test('a real program gets arguments and input, and its failure counts', async t => {
  const dir = t.testdir();
  const script = (name: string, text: string): void => {
    writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(dir, name), 0o755);
  };
  script('resolvectl', 'echo Failed to get global data >&2; exit 1');
  script('resolvconf', `echo "$@" > ${dir}/args; cat > ${dir}/input`);
  const path = process.env['PATH'];
  process.env['PATH'] = `${dir}:${path}`;
  t.teardown(() => void (process.env['PATH'] = path));
  await new Resolver('sp-office').use(['10.66.0.1']);
  t.equal(readFileSync(join(dir, 'args'), 'utf8'), '-a sp-office -m 0 -x\n');
  t.equal(readFileSync(join(dir, 'input'), 'utf8'), 'nameserver 10.66.0.1\n');
});
