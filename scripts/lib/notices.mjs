// The notices of packages whose code went into a bundle: their licences must go with every copy. Written beside the bundle, as
// FILE.LICENSE.txt, for packagers; inside it would be a tenth of the file.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** `ids`: the modules of a bundle, as rollup names them. */
export function notices(ids) {
  const folders = new Set();
  for (const id of ids) {
    const found = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id);
    if (found) folders.add(found[1]);
  }
  const parts = [...folders].sort().map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find(each => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${name}: no licence file in ${folder}`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
  });
  return parts.join(`\n${'-'.repeat(80)}\n\n`);
}
