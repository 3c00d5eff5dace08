// Two bundles, each one file that needs nothing beside it but a runtime:
//   dist/agent.mjs      what gets flashed: gateway, plain tunnel, show, status, keys. Minified.
//   dist/sallyport.mjs  every role.
// Types are erased by Node itself (the sources are erasable TypeScript only), so there is no second compiler to disagree
// with tsc. koffi stays outside: it is looked up at run time, and not at all where node:ffi or Deno.dlopen exist.
//
// Inside the file the code lies in rooms, one per chunk that rollup would have written, and a room is entered when it is first
// asked for: the data-plane worker evaluates no WebSocket, HPKE or HTTP, and `sallyport tunnel` no Core connection. That, and
// `require` for Node's own modules, is most of the idle memory: an ES import of node:http reads every one of its exports, and
// so loads undici with its WebAssembly, 14 MB for each thread.

import { chmodSync, readFileSync } from 'node:fs';
import { builtinModules, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { minify } from 'terser';
import { notices } from './scripts/lib/notices.mjs';
import { shortNames } from './scripts/lib/shortnames.mjs';
import { unreached } from './scripts/lib/unreached.mjs';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const builtins = new Set(builtinModules);

/** Largest dist/agent.mjs, in bytes, so that it does not grow unnoticed: routers have little flash. */
const agentBudget = 520_000;

const eraseTypes = {
  name: 'erase-types',
  transform(code, id) {
    if (!id.endsWith('.ts')) return null;
    // Erased types become blanks: positions stay, so no source map is needed at this step.
    return { code: stripTypeScriptTypes(code, { mode: 'strip' }), map: null };
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

/** Every file of smol-toml carries its licence, which has to be in here once. */
function licencesOnce(source) {
  const seen = new Set();
  return source.replace(/\/\*![^]*?\*\/\n?/g, text => (seen.size === seen.add(text).size ? '' : text));
}

/**
 * Names of the language that stand in the gateway's file by the dozen: with one letter each in their place it is 1.4 KB shorter. With
 * ten more, DataView and Number among them, it was 3 KB, and TCP fell from 5.5 to 5.0 Gbit/s.
 */
const often = { Uint8Array: 'Octets', Int32Array: 'Integers', RangeError: 'OutOfRange' };

/**
 * Shorter in ways that a minifier leaves to whoever knows more than it. Every `const` is a `let`: tsc and eslint have seen to it
 * that none is assigned to, and 1,600 of them are 3 KB, together with what can be declared in one statement then. And `often`.
 */
function shorter(source, tree) {
  const edits = [
    [banner.length, '', `let ${Object.entries(often).map(([name, short]) => `${short}=${name}`)};`],
  ];
  (function find(node, parent) {
    if (node.type === 'VariableDeclaration' && node.kind === 'const')
      edits.push([node.start, 'const', 'let']);
    const isKey = !parent?.computed && (parent?.key === node || parent?.property === node);
    if (node.type === 'Identifier' && Object.hasOwn(often, node.name) && !isKey)
      edits.push([node.start, node.name, often[node.name]]);
    for (const value of Object.values(node))
      for (const child of Array.isArray(value) ? value : [value])
        if (typeof child?.type === 'string') find(child, node);
  })(tree);
  let result = '';
  let from = 0;
  for (const [start, old, text] of edits.sort((a, b) => a[0] - b[0])) {
    result += source.slice(from, start) + text;
    from = start + old.length;
  }
  return result + source.slice(from);
}

const minifyOptions = {
  module: true,
  ecma: 2020,
  compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true, keep_fargs: false, pure_getters: true },
  format: { ascii_only: true, comments: /^!|Apache-2\.0/ },
};

const banner = `#!/usr/bin/env node
// Sallyport ${version}, Apache-2.0. Built by rollup; the sources are TypeScript.
`;

/** A room that is entered when first asked for. */
const entered = code =>
  code.trim().replace(/Promise\.resolve\(\)\.then\(\(\) => require\(('[^']+')\)\)/g, 'later($1)');

/** Joins the chunks into one ES module. `enter` is a chunk's `require`: another room, or one of Node's modules. */
const rooms = (file, budget, isSmall) => ({
  name: 'rooms',
  resolveImportMeta: property => (property === 'url' ? 'bundleUrl' : null),
  async generateBundle(options, bundle) {
    const chunks = Object.values(bundle);
    const names = new Set(chunks.map(chunk => chunk.fileName));
    const entry = chunks.find(chunk => chunk.isEntry).fileName;
    for (const chunk of chunks) {
      const outside = chunk.imports
        .concat(chunk.dynamicImports)
        .filter(id => !id.startsWith('node:') && !names.has(id));
      if (outside.some(id => id !== 'koffi')) this.error(`${file} still imports ${outside.join(', ')}`);
      delete bundle[chunk.fileName];
    }
    let source = licencesOnce(
      [
        `${banner}import{createRequire}from"node:module";`,
        'const bundleUrl=import.meta.url,node=createRequire(bundleUrl),open={},',
        'enter=id=>{if(id[0]!==".")return node(id);let room=open[id];if(!room)rooms[id](room=open[id]={},enter);return room},',
        'later=async id=>(await 0,enter(id)),', // not before the room that asks has been furnished itself
        `rooms={${chunks.map(chunk => `"./${chunk.fileName}"(exports,require){${entered(chunk.code)}}`).join(',\n')}};`,
        `enter("./${entry}");\n`,
      ].join(''),
    );
    if (isSmall) {
      const once = await minify(shorter(source, this.parse(source)), minifyOptions);
      source = (await minify(once.code, minifyOptions)).code; // finds 0.6 KB more, which further passes of the first do not
    }
    const bytes = Buffer.byteLength(source);
    if (bytes > budget) this.error(`${file} is ${bytes} bytes: the budget is ${budget}`);
    this.emitFile({ type: 'asset', fileName: file, source });
    const ids = chunks.flatMap(chunk => chunk.moduleIds);
    this.emitFile({ type: 'asset', fileName: `${file}.LICENSE.txt`, source: notices(ids) });
  },
  writeBundle() {
    chmodSync(`dist/${file}`, 0o755);
  },
});

const bundle = (input, file, budget, isSmall) => ({
  input,
  external: ['koffi'],
  output: {
    dir: 'dist',
    format: 'cjs',
    strict: false, // an ES module is strict anyway
    esModule: false,
    exports: 'named',
    interop: 'default',
    externalLiveBindings: false,
    dynamicImportInCjs: true,
    minifyInternalExports: true,
    generatedCode: { preset: 'es2015', symbols: false },
    chunkFileNames: '[name]',
    entryFileNames: '[name]',
    // The bench is made of the worker's parts: a room of its own would need a third one for what the two share, 3 KB.
    manualChunks: id => (/\/agent\/(bench|dataplane\/worker)\.ts$/.test(id) ? 'dataplane' : null),
  },
  plugins: [
    nodePrefix,
    unreached(isSmall),
    isSmall && shortNames(fileURLToPath(new URL('.', import.meta.url))),
    eraseTypes,
    nodeResolve({ exportConditions: ['node'], preferBuiltins: true }),
    commonjs({ ignore: ['bufferutil', 'utf-8-validate'] }),
    rooms(file, budget, isSmall),
  ],
  // Reading a file of ws does nothing by itself: what the gateway does not call (all but frames) need not come along.
  treeshake: { moduleSideEffects: id => !id.includes('/node_modules/ws/') },
  onwarn(warning, warn) {
    if (warning.code === 'THIS_IS_UNDEFINED' || warning.code === 'INVALID_ANNOTATION') return;
    if (['UNRESOLVED_IMPORT', 'MISSING_EXPORT'].includes(warning.code)) throw new Error(warning.message);
    warn(warning);
  },
});

export default [
  bundle('src/main-agent.ts', 'agent.mjs', agentBudget, true),
  bundle('src/main.ts', 'sallyport.mjs', Infinity, false),
];
