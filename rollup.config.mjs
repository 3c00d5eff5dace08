// Two bundles, each one file that needs nothing beside it but a runtime:
//   dist/agent.mjs      what gets flashed: gateway, plain tunnel, show, status, keys. Minified.
//   dist/sallyport.mjs  every role.
// TypeScript compiles both for Node 20; from the sources Node erases the types itself. koffi stays outside: it is looked up at run time, and not at all where node:ffi or Deno.dlopen exist.
//
// Inside the file the code lies in rooms, one per chunk that rollup would have written, and a room is entered when it is first
// asked for: the data-plane worker evaluates no WebSocket, HPKE or HTTP, and `sallyport tunnel` no Core connection. That, and
// `require` for Node's own modules, is most of the idle memory: an ES import of node:http reads every one of its exports, and
// so loads undici with its WebAssembly, 14 MB for each thread.

import { chmodSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { gzipSync } from 'node:zlib';
import commonjs from '@rollup/plugin-commonjs';
import nodeResolve from '@rollup/plugin-node-resolve';
import { minify } from 'terser';
import typescript from 'typescript';
import { notices } from './scripts/lib/notices.mjs';

const { version } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const builtins = new Set(builtinModules);

/** Largest dist/agent.mjs, in bytes, as written and compressed, so that it does not grow unnoticed: routers have little flash. */
const agentBudget = { bytes: 520_000, gzipBytes: 160_000 };
const noBudget = { bytes: Infinity, gzipBytes: Infinity };

/** For Node 20: types erased, `using` and `await using` as calls of tslib; the sources themselves run on newer ones. */
const compileTypes = {
  name: 'compile-types',
  transform(code, id) {
    if (!id.endsWith('.ts')) return null;
    const { outputText, diagnostics } = typescript.transpileModule(code, {
      fileName: id,
      compilerOptions,
      reportDiagnostics: true,
    });
    for (const { messageText } of diagnostics)
      this.error(`${id}: ${typescript.flattenDiagnosticMessageText(messageText, ' ')}`);
    return { code: outputText, map: null };
  },
};
const compilerOptions = {
  target: typescript.ScriptTarget.ES2023,
  module: typescript.ModuleKind.ESNext,
  importHelpers: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
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

// Property, function and class names stay as written, and lines stay short: a stack trace of a flashed file must be readable.
const minifyOptions = {
  module: true,
  keep_classnames: true,
  keep_fnames: true,
  ecma: 2020,
  compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true, keep_fargs: false, pure_getters: true },
  format: { ascii_only: true, max_line_len: 500, comments: /^!|Apache-2\.0/ },
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
      source = (await minify(source, minifyOptions)).code;
    }
    const bytes = Buffer.byteLength(source);
    const gzipBytes = gzipSync(source).length;
    if (bytes > budget.bytes || gzipBytes > budget.gzipBytes)
      this.error(
        `${file} has ${bytes} bytes, ${gzipBytes} compressed: at most ${budget.bytes} and ${budget.gzipBytes} are allowed`,
      );
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
    minifyInternalExports: false,
    generatedCode: { preset: 'es2015', symbols: false },
    chunkFileNames: '[name]',
    entryFileNames: '[name]',
  },
  plugins: [
    nodePrefix,
    compileTypes,
    nodeResolve({ exportConditions: ['node'], preferBuiltins: true }),
    commonjs({ ignore: ['bufferutil', 'utf-8-validate'] }),
    rooms(file, budget, isSmall),
  ],
  onwarn(warning, warn) {
    if (warning.code === 'THIS_IS_UNDEFINED' || warning.code === 'INVALID_ANNOTATION') return;
    if (['UNRESOLVED_IMPORT', 'MISSING_EXPORT'].includes(warning.code)) throw new Error(warning.message);
    warn(warning);
  },
});

export default [
  bundle('src/main-agent.ts', 'agent.mjs', agentBudget, true),
  bundle('src/main.ts', 'sallyport.mjs', noBudget, false),
];
