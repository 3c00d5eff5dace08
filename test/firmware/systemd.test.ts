// The unit as systemd itself judges it, without a running systemd. The limit is the issue's: exposure at most 2.0.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { specs as coreSpecs } from '../../src/core/command.ts';
import { specs as proxySpecs } from '../../src/proxy/command.ts';
import { has, run } from '../fixtures/lab/netns.ts';

const folder = new URL('../../firmware/systemd/', import.meta.url).pathname;
const unit = join(folder, 'sallyport.service');
const skip = !has('systemd-analyze') && 'systemd is not installed';

function exposure(file: string): number {
  const { stdout, stderr } = run('systemd-analyze', ['security', '--offline=yes', '--no-pager', file]);
  return Number(/Overall exposure level[^:]*: ([0-9.]+)/.exec(stdout + stderr)?.[1] ?? Number.NaN);
}

t.test('exposure', { skip }, async t => {
  const level = exposure(unit);
  t.ok(level <= 2, `without capabilities: ${level}`);
});

t.test('exposure with the drop-in that grants CAP_NET_ADMIN', { skip }, async t => {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-unit-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  copyFileSync(unit, join(dir, 'sallyport.service'));
  mkdirSync(join(dir, 'sallyport.service.d'));
  copyFileSync(join(folder, 'net-admin.conf'), join(dir, 'sallyport.service.d/net-admin.conf'));
  const level = exposure(join(dir, 'sallyport.service'));
  t.ok(level <= 2, `with the drop-in: ${level}`);
});

t.test('verify finds nothing to say of the unit', { skip }, async t => {
  const { stdout, stderr } = run('systemd-analyze', ['verify', '--man=no', unit]);
  const said = `${stdout}${stderr}`
    .split('\n')
    // Programs of the target machine need not be on this one.
    .filter(line => line !== '' && !/is not executable: No such file|Failed to (?:prepare|locate)/.test(line))
    .filter(line => line.includes('sallyport'));
  t.same(said, []);
});

t.test('V8 may make code at run time', async t => {
  t.notMatch(readFileSync(unit, 'utf8'), /^MemoryDenyWriteExecute=/m);
});

for (const role of ['core', 'proxy'])
  t.test(`the unit of ${role}`, { skip }, async t => {
    const file = join(folder, `sallyport-${role}.service`);
    const level = exposure(file);
    t.ok(level <= 2, `exposure ${level}`);
    const { stdout, stderr } = run('systemd-analyze', ['verify', '--man=no', file]);
    const said = `${stdout}${stderr}`
      .split('\n')
      .filter(line => line.includes('sallyport') && !/is not executable|Failed to (?:prepare|locate)/.test(line));
    t.same(said, []);
    const text = readFileSync(file, 'utf8');
    t.notMatch(text, /^MemoryDenyWriteExecute=/m);
    // The options of its command line are options of the role.
    const command = /^ExecStart=.*sallyport\.mjs (.*)$/m.exec(text)![1]!;
    const specs: Readonly<Record<string, string>> = role === 'core' ? coreSpecs : proxySpecs;
    const flags = [...command.matchAll(/--([a-z-]+)/g)].map(([, name]) => name!);
    t.ok(flags.length >= 3);
    for (const name of flags)
      t.ok(name === 'config' || name in specs || specs[name.replace(/-file$/, '')] === 'secret', name);
  });
