import t from 'tap';
import { readFileSync } from 'node:fs';
import { cleanMappings, trimMemory } from '../../src/platform/trim.ts';
import { loadFfi } from '../../src/platform/ffi/load.ts';

const mapping = (
  range: string,
  rights: string,
  file: string,
  rss: number,
  anonymous: number | null,
): string =>
  [
    `${range} ${rights} 00000000 fe:00 4711                       ${file}`,
    'Size:               1024 kB',
    `Rss:                ${String(rss).padStart(4)} kB`,
    ...(anonymous === null ? [] : [`Anonymous:          ${String(anonymous).padStart(4)} kB`]),
    'VmFlags: rd ex mr mw me sd',
  ].join('\n');

t.test('only what is clean, cannot be written, and belongs to the program', async t => {
  const smaps = [
    mapping('00400000-00500000', 'r-xp', '/usr/bin/node', 900, 0),
    mapping('00500000-00600000', 'r--p', '/usr/bin/node', 900, 8), // relocated when the program was loaded
    mapping('00600000-00700000', 'rw-p', '/usr/bin/node', 900, 0),
    mapping('00700000-00800000', 'r--p', '/usr/bin/node', 0, 0),
    mapping('00800000-00900000', 'r--p', '/usr/bin/node', 900, null),
    mapping('7f0000000000-7f0000100000', 'r-xp', '/usr/lib/libc.so.6', 900, 0),
    mapping('7ffc00000000-7ffc00100000', 'rw-p', '[stack]', 90, 90),
    '7f0000200000-7f0000300000 rw-p 00000000 00:00 0 ',
    mapping('7ff000000000-7ff000100000', 'r--p', '/usr/bin/node', 4, 0),
    '',
  ].join('\n');
  t.strictSame(cleanMappings(smaps, '/usr/bin/node'), [
    { start: 0x400000, bytes: 0x100000 },
    { start: 0x7ff000000000, bytes: 0x100000 },
  ]);
  t.strictSame(cleanMappings('', '/usr/bin/node'), []);
});

t.test('the memory is given back, and the program goes on', async t => {
  const resident = (): number =>
    Number(/^RssFile:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
  const before = resident();
  trimMemory(await loadFfi('auto'));
  const after = resident();
  t.ok(after < before * 0.75, `${before} kB before, ${after} kB after`);
  t.equal(Math.max(...Array.from({ length: 1000 }, (_, i) => i % 7)), 6);
});

t.test('a C library that offers nothing', async t => {
  trimMemory({ symbol: () => null });
  t.pass('is left alone');
});
