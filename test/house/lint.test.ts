// The linter's rules, proved by planted faults: every import the table forbids and every impurity is reported, and what is
// allowed is not. A rule nobody has seen failing may not be there at all.

import t from 'tap';
import { ESLint } from 'eslint';
import { forbidden, purePolicies, table } from '../../eslint/layers.ts';

const root = new URL('../../', import.meta.url).pathname;
const eslint = new ESLint({ cwd: root });

// lintText needs a path the type-aware parser knows, hence real files whose text is replaced.
const homes: Record<string, string> = {
  pure: 'src/wireguard/device.ts',
  util: 'src/util/deadlines.ts',
};

async function rulesHit(code: string, filePath: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: root + filePath });
  return result!.messages.map(message => message.ruleId ?? `fatal: ${message.message}`);
}

// Which folders each may import besides itself and util.
const allowedFolders: Record<string, string[]> = {
  util: [],
  wireguard: [],
  datapath: ['wireguard'],
  platform: [],
  control: [],
  forward: ['datapath'],
  agent: ['wireguard', 'datapath', 'platform', 'control', 'forward'],
  client: ['control', 'agent'],
  core: ['control'],
  proxy: ['control'],
  web: [],
};

t.test('every pair of folders', t => {
  t.strictSame(Object.keys(table).sort(), Object.keys(allowedFolders).sort());
  for (const [from, allowed] of Object.entries(allowedFolders)) {
    for (const to of Object.keys(allowedFolders)) {
      const door = from === 'client' && to === 'agent' ? 'tunnel.ts' : 'device.ts';
      const expected = to === from || to === 'util' || allowed.includes(to);
      for (const [file, source] of [
        [`${from}/thing.ts`, `../${to}/${door}`],
        [`${from}/deep/thing.ts`, `../../${to}/${door}`],
      ] as const)
        t.equal(forbidden(file, source) === null, expected, `${file} imports ${source}`);
    }
  }
  t.end();
});

t.test('packages and builtins', t => {
  const cases: [file: string, source: string, allowed: boolean][] = [
    ['wireguard/primitives/crypto.ts', '@stablelib/x25519', false],
    ['wireguard/primitives/stablelib.ts', '@stablelib/x25519', true],
    ['wireguard/device.ts', 'node:crypto', false],
    ['wireguard/device.ts', 'crypto', false],
    ['datapath/tcp.ts', 'node:fs', false],
    ['datapath/tcp.ts', '@stablelib/blake2s', false],
    ['util/bytes.ts', 'node:buffer', false],
    ['platform/ffi/koffi.ts', 'koffi', true],
    ['platform/clock.ts', 'node:os', true],
    ['platform/clock.ts', 'os', false],
    ['agent/uapi/server.ts', 'koffi', false],
    ['control/wire/acceptor.ts', 'ws', true],
    ['control/wire/channel.ts', 'ws', false],
    ['control/wire/dial.ts', 'ws', true],
    ['control/wire/agentchannel.ts', 'ws', false],
    ['core/command.ts', 'ws', false],
    ['control/trust/mlkem.ts', '@noble/post-quantum/ml-kem.js', true],
    ['control/trust/seal.ts', '@noble/post-quantum/ml-kem.js', false],
    ['forward/udp.ts', 'node:dgram', true],
    ['forward/udp.ts', 'node:fs', false],
    ['client/up.ts', '../agent/tunnel.ts', true],
    ['client/up.ts', '../agent/command.ts', false],
    ['core/http.ts', '../../test/fixtures/x.ts', false],
    ['stray/x.ts', 'node:fs', false],
  ];
  for (const policy of purePolicies) {
    cases.push([policy, 'node:crypto', false], [policy, '../util/errors.ts', true]);
  }
  for (const [file, source, allowed] of cases)
    t.equal(forbidden(file, source) === null, allowed, `${file} imports ${source}`);
  t.end();
});

t.test('the rule sees every form of import', async t => {
  for (const code of [
    `import '../platform/libc.ts';`,
    `import { a } from '../platform/libc.ts'; export const b = a as number;`,
    `import type { A } from '../platform/libc.ts'; export type B = A;`,
    `export { a } from '../platform/libc.ts';`,
    `export * from '../platform/libc.ts';`,
    `export const a = import('../platform/libc.ts');`,
    `export type A = import('../platform/libc.ts').A;`,
    `import fs from 'node:fs'; export const a = fs;`,
  ])
    t.ok((await rulesHit(code, homes.pure!)).includes('layers/imports'), code);
});

t.test('impurities of the protocol core', async t => {
  for (const name of [
    'Date',
    'performance',
    'globalThis',
    'crypto',
    'Buffer',
    'process',
    'console',
    'Deno',
    'fetch',
    'setTimeout',
    'setInterval',
    'queueMicrotask',
  ]) {
    for (const [kind, file] of Object.entries(homes))
      t.strictSame(
        await rulesHit(`export const a: unknown = ${name};`, file),
        ['no-restricted-globals'],
        `${kind}: ${name}`,
      );
  }
  t.strictSame(await rulesHit('export const a: number = Math.random();', homes.pure!), [
    'no-restricted-properties',
  ]);
  t.strictSame(await rulesHit('export const a: unknown = globalThis.Date;', homes.pure!), [
    'no-restricted-globals',
  ]);
  t.ok(
    (await rulesHit(`export const a: unknown = import('./x.ts');`, homes.pure!)).includes(
      'no-restricted-syntax',
    ),
  );
  t.strictSame(await rulesHit('export async function a(): Promise<void> {}', homes.pure!), [
    'no-restricted-syntax',
  ]);
  t.strictSame(
    await rulesHit('export const a = (crypto: number): number => crypto;', homes.pure!),
    [],
    'a parameter named crypto',
  );
});

t.test('a promise nobody awaits', async t => {
  const code = 'declare function work(): Promise<void>;\nwork();\nexport {};';
  t.strictSame(await rulesHit(code, 'test/load-all.test.ts'), ['@typescript-eslint/no-floating-promises']);
});

t.test('what is allowed is not reported', async t => {
  t.strictSame(await rulesHit(`export { isZero } from '../util/bytes.ts';`, homes.pure!), []);
  t.strictSame(await rulesHit('export const now: number = Date.now();', 'test/load-all.test.ts'), []);
});
