// Loads every source file, so that one no test imports still shows up in the coverage, and proves on the way that no
// module acts on being imported. Not loaded: the two doors, which read the command line, and the browser's pages.

import t from 'tap';
import { readdirSync } from 'node:fs';

const root = new URL('../src/', import.meta.url);
const doors = new Set(['main.ts', 'main-agent.ts']);

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(
    file => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.startsWith('web/') && !doors.has(file),
  )
  .sort();

for (const file of files) {
  t.test(file, async t => {
    await t.resolves(import(new URL(file, root).href));
  });
}
