// Two bundles, each one file that needs nothing beside it but a runtime:
//   dist/agent.mjs      what gets flashed: gateway, plain tunnel, show, status, keys. Minified.
//   dist/sallyport.mjs  every role.
// Types are erased by Node itself (the sources are erasable TypeScript only), so there is no second compiler to disagree
// with tsc. koffi stays outside: it is looked up at run time, and not at all where node:ffi or Deno.dlopen exist.

import { chmodSync, readFileSync } from 'node:fs';
import { builtinModules, stripTypeScriptTypes } from 'node:module';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import terser from '@rollup/plugin-terser';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const builtins = new Set(builtinModules);

/** Largest dist/agent.mjs, in bytes, so that it does not grow unnoticed: routers have little flash. The aim is 300,000. */
const agentBudget = 410_000;

const eraseTypes = {
  name: 'erase-types',
  transform(code, id) {
    if (!id.endsWith('.ts')) return null;
    // Erased types become blanks: positions stay, so no source map is needed at this step.
    return { code: stripTypeScriptTypes(code, { mode: 'strip' }), map: null };
  },
};

/**
 * In one file there is nothing to load later: every `import()` of ours is also a static import, so that what it names has
 * been evaluated before the importer runs. Without that a data plane that never returns would wait for code below itself.
 */
const loadFirst = {
  name: 'load-first',
  transform(code, id) {
    if (!id.endsWith('.ts')) return null;
    const named = [...code.matchAll(/\bimport\(\s*'(\.[^']+\.ts)'\s*\)/g)].map(match => match[1]);
    return { code: code + [...new Set(named)].map(source => `\nimport '${source}';`).join(''), map: null };
  },
};

/** `require('events')` in a dependency becomes `node:events`: Deno knows no other spelling. */
const nodePrefix = {
  name: 'node-prefix',
  resolveId(id) {
    if (id.startsWith('node:')) return { id, external: true };
    return builtins.has(id) ? { id: `node:${id}`, external: true } : null;
  },
};

const oneExecutableFile = (file, budget) => ({
  name: 'one-executable-file',
  generateBundle(options, bundle) {
    const files = Object.values(bundle);
    if (files.length !== 1) this.error(`expected one file, got ${files.map(f => f.fileName).join(', ')}`);
    const bytes = Buffer.byteLength(files[0].code);
    const outside = files[0].imports.concat(files[0].dynamicImports).filter(id => !id.startsWith('node:'));
    if (outside.some(id => id !== 'koffi')) this.error(`${file} still imports ${outside.join(', ')}`);
    if (bytes > budget) this.error(`${file} is ${bytes} bytes: the budget is ${budget}`);
  },
  writeBundle() {
    chmodSync(file, 0o755);
  },
});

const bundle = (input, file, budget, minify) => ({
  input,
  external: ['koffi'],
  output: {
    file,
    format: 'es',
    inlineDynamicImports: true,
    banner: `#!/usr/bin/env node\n// Sallyport ${version}, Apache-2.0. Built by rollup; the sources are TypeScript.`,
  },
  plugins: [
    nodePrefix,
    eraseTypes,
    loadFirst,
    nodeResolve({ exportConditions: ['node'], preferBuiltins: true }),
    commonjs({ ignore: ['bufferutil', 'utf-8-validate'] }),
    minify &&
      terser({ module: true, ecma: 2020, compress: { passes: 2 }, format: { comments: /^!|Apache-2\.0/ } }),
    oneExecutableFile(file, budget),
  ],
  // Reading a file of ws does nothing by itself: what the gateway does not call (the server) need not come along.
  treeshake: { moduleSideEffects: id => !id.includes('/node_modules/ws/') },
  onwarn(warning, warn) {
    if (warning.code === 'CIRCULAR_DEPENDENCY') return; // `load-first` makes harmless ones; test/house looks for real ones
    if (warning.code === 'THIS_IS_UNDEFINED' || warning.code === 'INVALID_ANNOTATION') return;
    if (['UNRESOLVED_IMPORT', 'MISSING_EXPORT'].includes(warning.code)) throw new Error(warning.message);
    warn(warning);
  },
});

export default [
  bundle('src/main-agent.ts', 'dist/agent.mjs', agentBudget, true),
  bundle('src/main.ts', 'dist/sallyport.mjs', Infinity, false),
];
