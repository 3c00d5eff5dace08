// Who may import whom (ARCHITECTURE.md, "The rules"), as data and as one ESLint rule that reads it. Every folder of
// src/ may import itself and util. The rule resolves the path, so no spelling of it slips through, and it sees static
// imports, re-exports, `import()`, `require()` and type-only imports alike.

import { relative, dirname, resolve, sep } from 'node:path';
import { builtinModules } from 'node:module';
import type { Rule } from 'eslint';

/** True: all of it. A list: only through, or only in, these files (or builtin modules). */
type Grant = true | readonly string[];

interface Row {
  /** What else may be imported from src/. */
  readonly folders?: Readonly<Record<string, Grant>>;
  readonly node?: Grant;
  /** Package name, or `@scope/*`. */
  readonly packages?: Readonly<Record<string, Grant>>;
}

export const table: Readonly<Record<string, Row>> = {
  util: {},
  wireguard: { packages: { '@stablelib/*': ['primitives/stablelib.ts'] } },
  datapath: { folders: { wireguard: true } },
  platform: { node: true, packages: { koffi: true } },
  control: {
    node: true,
    packages: { ws: ['wire/acceptor.ts', 'wire/dial.ts', 'wire/dialer.ts'], '@noble/*': ['trust/mlkem.ts'] },
  },
  forward: { folders: { datapath: true }, node: ['net', 'dgram'] },
  agent: {
    folders: { wireguard: true, datapath: true, platform: true, control: true, forward: true },
    node: true,
    packages: { 'smol-toml': true },
  },
  client: {
    folders: {
      control: true,
      agent: ['tunnel.ts', 'keys.ts', 'dataplane/client.ts', 'dataplane/commands.ts'],
      platform: ['net/netlink.ts', 'libc.ts', 'ffi/load.ts'], // addresses and routes
    },
    node: true,
    packages: { 'smol-toml': true },
  },
  core: {
    folders: { control: true },
    node: true,
    packages: { 'smol-toml': true, uqr: true, nodemailer: ['methods/mailer.ts'] },
  },
  proxy: { folders: { control: true }, node: true, packages: { 'smol-toml': true } },
  web: {},
};

/** Files that hold a policy and must stay pure although their folder may do IO: no node:, no packages. */
export const purePolicies: readonly string[] = [
  'agent/dataplane/sessionclock.ts',
  'core/login/login.ts',
  'client/login.ts',
];

const builtins = new Set(builtinModules);

function allowed(grant: Grant, file: string): boolean {
  return grant === true || grant.includes(file);
}

const list = (grant: Grant): string => (grant === true ? 'anything' : grant.join(', '));

/** The reason why `file` (relative to src, with /) must not import `source`, or null. */
export function forbidden(file: string, source: string): string | null {
  const [folder = '', ...inside] = file.split('/');
  if (inside.length === 0) return null; // the doors and the dispatcher compose the roles
  const row = table[folder];
  if (row === undefined) return `src/${folder}/ has no row in the import table (eslint/layers.ts)`;
  if (source.startsWith('.') || source.startsWith('/')) return forbiddenFile(file, folder, row, source);
  const builtin = source.replace(/^node:/, '');
  if (source.startsWith('node:') || builtins.has(builtin)) {
    if (purePolicies.includes(file)) return `${file} is pure: time, randomness and IO come in as arguments`;
    if (!source.startsWith('node:')) return `write node:${builtin}`;
    if (row.node === undefined) return `${folder}/ is pure: it must not import node:${builtin}`;
    return allowed(row.node, builtin) ? null : `${folder}/ may import from node: only ${list(row.node)}`;
  }
  return forbiddenPackage(file, folder, row, source);
}

function forbiddenFile(file: string, folder: string, row: Row, source: string): string | null {
  const target = relative('/src', resolve('/src', dirname(file), source))
    .split(sep)
    .join('/');
  const [other = '', ...rest] = target.split('/');
  if (other === '..') return 'src/ must not import from outside src/';
  if (other === folder || other === 'util') return null;
  const grant = row.folders?.[other];
  if (grant === undefined || rest.length === 0) return `${folder}/ must not import ${other}/`;
  return allowed(grant, rest.join('/'))
    ? null
    : `${folder}/ may import ${other}/ only through ${list(grant)}`;
}

function forbiddenPackage(file: string, folder: string, row: Row, source: string): string | null {
  const [scope = '', second] = source.split('/');
  const name = source.startsWith('@') ? `${scope}/${second}` : scope;
  const grant = row.packages?.[name] ?? row.packages?.[`${scope}/*`];
  if (grant === undefined) return `${folder}/ must not import the package ${name}`;
  if (purePolicies.includes(file)) return `${file} is pure: it must not import the package ${name}`;
  const within = file.slice(folder.length + 1);
  return allowed(grant, within) ? null : `${name} may be imported only in ${folder}/: ${list(grant)}`;
}

const rule: Rule.RuleModule = {
  meta: { type: 'problem', docs: { description: 'enforce the import table' }, schema: [] },
  create(context): Rule.RuleListener {
    const file = relative(resolve(context.cwd, 'src'), context.filename).split(sep).join('/');
    if (file.startsWith('..')) return {};
    const check = (node: Rule.Node, source: unknown): void => {
      const value = (source as { value?: unknown } | null | undefined)?.value;
      const message = typeof value === 'string' ? forbidden(file, value) : null;
      if (message !== null) context.report({ node, message });
    };
    const visit = (node: Rule.Node & { source?: unknown }): void => check(node, node.source);
    return {
      ImportDeclaration: visit,
      ExportNamedDeclaration: visit,
      ExportAllDeclaration: visit,
      ImportExpression: visit,
      TSImportType: visit,
      CallExpression(node): void {
        if (node.callee.type === 'Identifier' && node.callee.name === 'require')
          check(node, node.arguments[0]);
      },
    };
  },
};

const plugin: { rules: Record<string, Rule.RuleModule> } = { rules: { imports: rule } };
export default plugin;
