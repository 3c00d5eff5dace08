// The unit as systemd itself judges it, without a running systemd. The limit is the issue's: exposure at most 2.0.

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
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
