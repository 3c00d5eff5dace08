// docs/configuration.md is what the sources say now.

import t from 'tap';
import { readFileSync } from 'node:fs';
import { configuration } from '../../scripts/configuration.ts';
import { agentOptions } from '../../src/agent/config/schema.ts';

t.test('the page is the output of scripts/configuration.ts', async t => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  t.equal(page, configuration(), 'run: node_modules/.bin/node scripts/configuration.ts --write');
  for (const name of Object.keys(agentOptions)) t.ok(page.includes(`| \`${name}\` |`), name);
});
