// The linter's job here is the part of the design a reviewer would forget: the import table (eslint/layers.ts), the
// purity of the protocol core, promises that are not awaited. Formatting belongs to prettier, types to tsc.

import tseslint from 'typescript-eslint';
import layers, { purePolicies } from './eslint/layers.ts';

const outside = [
  { name: 'Date', message: 'take `now` or `wallMs` as an argument' },
  { name: 'performance', message: 'take `now` as an argument' },
  { name: 'globalThis', message: 'a back door to every other banned global' },
  { name: 'crypto', message: 'take the entropy function as an argument' },
  { name: 'Buffer', message: 'Uint8Array only' },
  ...['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'queueMicrotask'].map(
    name => ({ name, message: 'deadlines are data: see util/deadlines.ts' }),
  ),
  ...[
    'global',
    'self',
    'window',
    'process',
    'console',
    'Deno',
    'Bun',
    'fetch',
    'WebSocket',
    'require',
    'eval',
  ].map(name => ({ name, message: 'this code is pure: input and output go through its caller' })),
];

const pureRules = {
  'no-restricted-globals': ['error', ...outside],
  'no-restricted-properties': [
    'error',
    { object: 'Math', property: 'random', message: 'take the entropy function' },
  ],
  'no-new-func': 'error',
};
const noDynamicImport = { selector: 'ImportExpression', message: 'pure code does not load modules' };
const noAsync = [
  { selector: ':function[async=true]', message: 'the packet path is synchronous: async reorders packets' },
  { selector: 'AwaitExpression', message: 'the packet path is synchronous: async reorders packets' },
  { selector: 'NewExpression[callee.name="Promise"]', message: 'the packet path is synchronous' },
];

export default tseslint.config(
  { ignores: ['dist/', 'build/', 'node_modules/', '.tap/', 'firmware/', 'bench/', '**/*.js'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-debugger': 'error',
      'no-dupe-else-if': 'error',
      'no-fallthrough': 'error',
      'no-loss-of-precision': 'error',
      'no-self-compare': 'error',
      'no-sparse-arrays': 'error',
      'no-unsafe-finally': 'error',
      'no-unreachable-loop': 'error',
      'no-control-regex': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': [
        'error',
        // t.test(...): tap itself awaits its subtests.
        {
          allowForKnownSafePromises: [
            { from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unsafe-function-type': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-implied-eval': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/no-duplicate-type-constituents': 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { layers },
    rules: { 'layers/imports': 'error' },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts', 'src/main-agent.ts', 'src/web/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'argv',
          message: 'src/main.ts reads the command line and passes it on',
        },
      ],
    },
  },
  {
    files: ['src/{util,wireguard,datapath,forward/tcp}/**/*.ts'],
    rules: { ...pureRules, 'no-restricted-syntax': ['error', noDynamicImport, ...noAsync] },
  },
  {
    files: purePolicies.map(file => `src/${file}`),
    rules: { ...pureRules, 'no-restricted-syntax': ['error', noDynamicImport] },
  },
  {
    files: ['**/*.mjs'],
    rules: { eqeqeq: 'error', 'no-var': 'error', 'prefer-const': 'error', 'no-undef': 'off' },
  },
);
