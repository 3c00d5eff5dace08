import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { notices } from '../../scripts/lib/notices.mjs';

t.test('the licence of every package whose code is in a bundle, once', t => {
  const dir = t.testdir();
  const add = (name: string, licence: string | null): string => {
    const folder = join(dir, 'node_modules', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version: '1.2.3', license: 'MIT' }));
    if (licence !== null) writeFileSync(join(folder, 'LICENCE.md'), licence);
    return folder;
  };
  const ids = [
    join(add('b', 'Copyright B\n'), 'lib/x.js'),
    join(dir, 'node_modules/b/lib/y.js'),
    join(add('@s/a', 'Copyright A'), 'index.js'),
    `\0${join(dir, 'node_modules/b/z.js')}?commonjs-module`,
    join(dir, 'src/main.ts'),
  ];
  t.equal(
    notices(ids),
    `@s/a 1.2.3 (MIT)\n\nCopyright A\n\n${'-'.repeat(80)}\n\nb 1.2.3 (MIT)\n\nCopyright B\n`,
  );
  t.throws(() => notices([join(add('c', null), 'c.js')]), /c: no licence file/);
  t.end();
});
