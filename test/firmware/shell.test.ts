// Every shell script we ship: it parses under busybox ash (the router's shell) and shellcheck has nothing to say.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { has, run } from '../fixtures/lab/netns.ts';

const firmware = new URL('../../firmware/', import.meta.url).pathname;
const scripts = readdirSync(firmware, { recursive: true, encoding: 'utf8' })
  .map(file => join(firmware, file))
  .filter(file => statSync(file).isFile() && /^#! ?\/bin\/(sh|ash)/.test(readFileSync(file, 'utf8').slice(0, 20)))
  .sort();
/** Set or read by rc.common and netifd; sourced files are on the router; `local` is in every ash. */
const excluded = 'SC2034,SC2154,SC1091,SC3043';

t.ok(scripts.length >= 5, `${scripts.length} scripts`);
for (const script of scripts) {
  const name = script.slice(firmware.length);
  t.test(`${name}: busybox ash`, { skip: !has('busybox') && 'busybox is not installed' }, async t => {
    const { status, stderr } = run('busybox', ['ash', '-n', script]);
    t.equal(status, 0, stderr);
  });
  t.test(`${name}: shellcheck`, { skip: !has('shellcheck') && 'shellcheck is not installed' }, async t => {
    const { status, stdout } = run('shellcheck', ['-s', 'dash', '-e', excluded, script]);
    t.equal(status, 0, stdout);
  });
}
