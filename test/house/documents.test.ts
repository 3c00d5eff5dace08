// The documents hold together: links and anchors lead somewhere, every path that is named exists, and ARCHITECTURE.md names
// every room of src/.

import t from 'tap';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { table } from '../../eslint/layers.ts';
import { blocksOf, missing, story } from '../fixtures/system/consoleblocks.ts';

const root = new URL('../../', import.meta.url).pathname;
const skipped = new Set(['node_modules', 'dist', 'build', 'bench', '.git', '.tap']);

function files(under: string): string[] {
  return readdirSync(join(root, under), { withFileTypes: true })
    .filter(entry => !skipped.has(entry.name))
    .flatMap(entry => {
      const path = join(under, entry.name);
      return entry.isDirectory() ? files(path) : [path];
    });
}

const all = files('.');
const documents = all.filter(file => file.endsWith('.md'));
const names = new Set(all.map(file => file.slice(file.lastIndexOf('/') + 1)));
/** A path that is named must lie in one of these, so that names of other machines' files are left alone. */
const roots = /^(src|test|scripts|firmware|docs|eslint|\.ci)(\/|$)/;

const withoutBlocks = (text: string): string => text.replace(/^```[^]*?^```$/gm, '');

/** Headings as GitHub turns them into anchors. */
function anchors(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, title] of withoutBlocks(text).matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-');
    let name = slug;
    for (let n = 1; found.has(name); n++) name = `${slug}-${n}`;
    found.add(name);
  }
  return found;
}

/** What is wrong with the links of a document. `read` gives a file's text, null for a file that is not there. */
function brokenLinks(document: string, read: (path: string) => string | null): string[] {
  const text = withoutBlocks(read(document)!).replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target!)
    .filter(target => !/^[a-z]+:/.test(target))
    .flatMap(target => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : normalize(join(dirname(document), path));
      const content = read(file);
      if (content === null) return [`${document}: ${target}: there is no ${file}`];
      if (anchor !== undefined && !anchors(content).has(anchor))
        return [`${document}: ${target}: ${file} has no heading #${anchor}`];
      return [];
    });
}

/** Paths and file names in `code` and in code blocks, as far as they are meant to be in this repository. */
function namedPaths(text: string): string[] {
  const inline = [...withoutBlocks(text).matchAll(/`([^`\n]+)`/g)]
    .flatMap(([, code]) => code!.split(/[\s,]+/))
    .filter(word => roots.test(word) || /^[a-z]+\.ts$/.test(word));
  const blocks = [...text.matchAll(/^```[^]*?^```$/gm)]
    .flatMap(([block]) => block.split(/[\s,'"]+/))
    .filter(word => roots.test(word) && word.includes('/'));
  return [...inline, ...blocks].map(word => word.replace(/[.:;]+$/, ''));
}

const exists = (path: string): boolean =>
  path.includes('/') ? existsSync(join(root, path)) : names.has(path);

function readText(path: string): string | null {
  if (!existsSync(join(root, path))) return null;
  return path.endsWith('.md') ? readFileSync(join(root, path), 'utf8') : '';
}

t.test('planted faults are found', async t => {
  const planted: Record<string, string> = {
    'a/b.md':
      '# One `two`\n[x](#one-two) [y](../c.md#three) [z](d.md) [w](https://x.example/#q)\n```\n[n](none)\n```\n',
    'c.md': '# Four\n',
  };
  t.strictSame(
    brokenLinks('a/b.md', path => planted[path] ?? null),
    ['a/b.md: ../c.md#three: c.md has no heading #three', 'a/b.md: d.md: there is no a/d.md'],
  );
  t.strictSame(
    namedPaths('`src/none.ts`, `npm run x`, `absent.ts`').filter(path => !exists(path)),
    ['src/none.ts', 'absent.ts'],
  );
});

t.test('links and anchors', async t => {
  t.ok(documents.length > 30, `${documents.length} documents`);
  t.strictSame(
    documents.flatMap(document => brokenLinks(document, readText)),
    [],
  );
});

t.test('paths that are named exist', async t => {
  const wrong = documents
    .filter(document => document !== 'CHANGELOG.md') // it tells of files that are gone
    .flatMap(document =>
      namedPaths(readText(document)!)
        .filter(path => !exists(path))
        .map(path => `${document}: \`${path}\``),
    );
  t.strictSame(wrong, []);
});

t.test(
  'ARCHITECTURE.md names every room of src/, and only files that lie in the room of their row',
  async t => {
    const text = readText('ARCHITECTURE.md')!;
    const rooms = new Set(all.filter(file => /^src\/.+\/.+\.ts$/.test(file)).map(dirname));
    t.strictSame(
      [...rooms].filter(room => !text.includes(`\`${room}/\``)),
      [],
      'give a new room its line in the tree',
    );
    const strays = text
      .split('\n')
      .filter(row => /^\| `src\/[^`]*\/` \|/.test(row))
      .flatMap(row => {
        const places = [...row.matchAll(/`(src\/[^`]*\/)`/g)].map(match => match[1]!);
        return [...row.matchAll(/`([a-z]+\.ts)`/g)]
          .map(match => match[1]!)
          .filter(name => !places.some(place => exists(place + name)))
          .map(name => `${places[0]}: ${name}`);
      });
    t.strictSame(strays, []);
  },
);

t.test('every code block of docs/ is run, read, or says why not', async t => {
  const pages = documents.filter(file => /^docs\/[a-z-]+\.md$/.test(file));
  t.ok(pages.length >= 8);
  for (const page of pages) {
    const blocks = blocksOf(readText(page)!);
    const unknown = blocks.flatMap(block => (block.kind === 'unknown' ? [block.mark] : []));
    t.strictSame(unknown, [], `${page}: marks as test/fixtures/system/consoleblocks.ts lists them`);
    const isRun = blocks.some(block => block.kind === 'console' || block.kind === 'file');
    t.equal(story.includes(page.slice(5, -3)), isRun, `${page}: run by test/e2e/documents.test.ts`);
    const isRead = blocks.some(block => block.kind === 'message');
    t.equal(page === 'docs/protocol.md', isRead, `${page}: messages are read where they are all read`);
  }
});

t.test('npm scripts and programs that the documents name exist', async t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
  const roles = ['src/roles.ts', 'src/main.ts'].map(file => readFileSync(join(root, file), 'utf8')).join();
  const isRole = (name: string): boolean => new RegExp(`^ {2}${name}: (\\{|client)`, 'm').test(roles);
  const wrong = documents
    .filter(document => !/^(CHANGELOG|test|docs\/protocol)/.test(document))
    .flatMap(document => {
      const text = readText(document)!;
      const code = [...text.matchAll(/^```[^]*?^```$|`[^`\n]+`/gm)].map(match => match[0]).join('\n');
      const named = [...code.matchAll(/\bnpm run (?:-s |--silent )?([a-z:]+)/g)].map(match => match[1]!);
      const words = [...code.matchAll(/(?:^|[$`] ?|&& )sallyport ([a-z]+)\b/gm)].map(match => match[1]!);
      return [
        ...named.filter(name => !Object.hasOwn(scripts, name)).map(name => `${document}: npm run ${name}`),
        ...words.filter(name => !isRole(name)).map(name => `${document}: sallyport ${name}`),
      ];
    });
  t.strictSame(wrong, []);
});

t.test('what one sees, and its gaps', async t => {
  t.equal(missing('a 1 b\nc\n', ['a … b', 'c']), null);
  t.equal(missing('NAME  STATE\nx\n', ['NAME … STATE']), null, 'nothing is anything, too');
  t.equal(missing('c\na 1 b\n', ['a … b', 'c']), 'c', 'in order');
  t.equal(missing('a. b', ['a, b']), 'a, b');
});

t.test('every room of src/ has a README of 3 to 8 lines', async t => {
  const rooms = new Set(all.filter(file => /^src\/.+\/.+\.ts$/.test(file)).map(dirname));
  const wrong = [...rooms].filter(room => {
    const lines = (readText(`${room}/README.md`) ?? '').trimEnd().split('\n');
    return lines[0] !== `# ${room.slice('src/'.length)}` || lines.length < 3 || lines.length > 8;
  });
  t.strictSame(wrong, [], 'what lives there, and what it may touch; the title is the path below src/');
});

t.test('the flows of ARCHITECTURE.md name files and rooms that exist', async t => {
  const flows = readText('ARCHITECTURE.md')!.split('## The two flows')[1]!.split('## The rules')[0]!;
  const folders = 'util|wireguard|datapath|platform|control|agent|core|proxy|client';
  const named = [...flows.matchAll(new RegExp(`(?<![\\w/])(?:${folders})/[a-z/]+`, 'g'))].map(
    match => match[0],
  );
  t.ok(named.length > 15);
  t.strictSame(
    named.filter(name => !exists(`src/${name}.ts`) && !exists(`src/${name}`)),
    [],
  );
});

t.test('the import table of ARCHITECTURE.md names the folders that the linter allows', async t => {
  const rows = [
    ...readText('ARCHITECTURE.md')!
      .split('## The rules')[1]!
      .matchAll(/^\| ([a-z, ]+) \| (.+) \|$/gm),
  ];
  const folders = Object.keys(table).filter(folder => existsSync(join(root, 'src', folder)));
  for (const folder of folders) {
    const text = rows.find(([, names]) => names!.split(', ').includes(folder))?.[2] ?? 'no row';
    const words = text.replace(/`[^`]*`/g, '').split(/[^a-z]+/);
    const named = Object.keys(table).filter(other => words.includes(other));
    t.strictSame(named.sort(), Object.keys(table[folder]!.folders ?? {}).sort(), `${folder}: ${text}`);
  }
});

t.test('every decision stands in the index, once', async t => {
  const index = readText('docs/decisions/README.md')!;
  const pages = documents.filter(file => /^docs\/decisions\/\d/.test(file)).sort();
  const numbers = pages.map(page => page.slice('docs/decisions/'.length, 'docs/decisions/'.length + 4));
  t.equal(new Set(numbers).size, numbers.length, 'no number twice');
  const wrong = pages.filter(page => {
    const name = page.slice('docs/decisions/'.length);
    const title = /^# (\d{4}): (.+)$/m.exec(readText(page)!);
    return (
      title === null ||
      title[1] !== name.slice(0, 4) ||
      !index.includes(`| ${title[1]} | [${title[2]}](${name}) |`)
    );
  });
  t.strictSame(
    wrong,
    [],
    'a page begins with "# NNNN: Title" and the index has "| NNNN | [Title](NNNN-name.md) |"',
  );
});
