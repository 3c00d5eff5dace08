// No two source files need each other: imports of src/, those of types and `import()` included, form no cycle. A type that
// two files share lives in a third one below both.

import t from 'tap';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = new URL('../../src/', import.meta.url).pathname;

/** Files that `file` imports, relative to src/; comments do not count. */
function imports(file: string): string[] {
  const code = readFileSync(join(root, file), 'utf8').replace(/^\s*\/\/.*$/gm, '');
  return [...code.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g)].map(match =>
    join(dirname(file), match[1]!),
  );
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
  t.ok(graph.get('main.ts')?.includes('dispatch.ts'), 'imports of values are seen');
  t.ok(graph.get('main.ts')?.includes('agent/dataplane/worker.ts'), 'import() is seen');
  t.ok(graph.get('agent/host.ts')?.includes('agent/routes.ts'), 'imports of types are seen');
  t.equal(findCycle(graph)?.join(' -> ') ?? 'none', 'none');
});
