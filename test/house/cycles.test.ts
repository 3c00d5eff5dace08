// No source file needs itself to be loaded: static value imports of src/ form no cycle. Type-only imports vanish before they
// could matter and do not count; `import()` inside a function is the accepted way to break a cycle.

import t from 'tap';
import { readFileSync, readdirSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

const root = new URL('../../src/', import.meta.url).pathname;

/** Files that `file` imports for their values, relative to src/. */
function imports(file: string): string[] {
  const code = stripTypeScriptTypes(readFileSync(join(root, file), 'utf8'), { mode: 'strip' });
  return [...code.matchAll(/^\s*(?:import|export)\b[^'"();]*?from\s*['"](\.[^'"]+)['"]/gm)]
    .concat([...code.matchAll(/^\s*import\s*['"](\.[^'"]+)['"]/gm)])
    .filter(match => !/^\s*(?:import|export)\s*\{\s*\}/.test(match[0]))
    .map(match => join(dirname(file), match[1]!));
}

/** The first cycle found, as a path, or null. */
function findCycle(graph: Map<string, string[]>): string[] | null {
  const done = new Set<string>();
  const walk = (file: string, path: string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of graph.get(file) ?? []) {
      const cycle = walk(next, [...path, file]);
      if (cycle !== null) return cycle;
    }
    done.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const cycle = walk(file, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

t.test('a planted cycle is found', async t => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c']],
    ['c', ['b']],
  ]);
  t.strictSame(findCycle(graph), ['b', 'c', 'b']);
  t.equal(
    findCycle(
      new Map([
        ['a', ['b', 'c']],
        ['b', ['c']],
      ]),
    ),
    null,
  );
});

t.test('src/ has none', async t => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
  const graph = new Map(files.map(file => [file, imports(file)]));
  t.ok((graph.get('main.ts') ?? []).includes('dispatch.ts'), 'the parser sees imports');
  t.equal(findCycle(graph)?.join(' -> ') ?? 'none', 'none');
});
