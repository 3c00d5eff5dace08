// Who may import whom (ARCHITECTURE.md, "import table"), as data and as one ESLint rule that reads it. Every folder of
// src/ may import itself and util. The rule resolves the path, so no spelling of it slips through, and it sees static
// imports, re-exports, `import()`, `require()` and type-only imports alike.

import { relative, dirname, resolve, sep } from 'node:path';
import { builtinModules } from 'node:module';

/**
 * `folders`: what else may be imported; a list of files narrows a folder to its doors.
 * `node`: true, or the list of builtin modules. `packages`: name (or `@scope/*`) -> true, or the files that may.
 */
export const table = {
  util: {},
  wireguard: { packages: { '@stablelib/*': ['crypto.ts'] } },
  datapath: { folders: { wireguard: true } },
  platform: { node: true, packages: { koffi: true } },
  control: { node: true, packages: { ws: ['channel.ts'], '@hpke/*': ['seal.ts'] } },
  forward: { folders: { datapath: true }, node: ['net', 'dgram'] },
  agent: {
    folders: { wireguard: true, datapath: true, platform: true, control: true, forward: true },
    node: true,
    packages: { 'smol-toml': true },
  },
  client: {
    folders: { control: true, agent: ['tunnel.ts', 'link.ts', 'keys.ts'] },
    node: true,
    packages: { 'smol-toml': true },
  },
  core: { folders: { control: true }, node: true, packages: { 'smol-toml': true } },
  proxy: { folders: { control: true }, node: true, packages: { 'smol-toml': true } },
  web: {},
};

/** Files that hold a policy and must stay pure although their folder may do IO: no node:, no packages. */
export const purePolicies = ['agent/session.ts', 'core/login.ts', 'client/login.ts'];

const builtins = new Set(builtinModules);

function allowed(list, file) {
  return list === true || (Array.isArray(list) && list.includes(file));
}

/** The reason why `file` (relative to src, with /) must not import `source`, or null. */
export function forbidden(file, source) {
  const [folder, ...inside] = file.split('/');
  if (inside.length === 0) return null; // src/main.ts composes the roles
  const row = table[folder];
  if (row === undefined) return `src/${folder}/ has no row in the import table (eslint/layers.mjs)`;
  const within = inside.join('/');
  const pure = purePolicies.includes(file);
  if (source.startsWith('.') || source.startsWith('/')) {
    const target = relative('/src', resolve('/src', dirname(file), source))
      .split(sep)
      .join('/');
    const [other, ...rest] = target.split('/');
    if (other === '..') return `src/ must not import from outside src/`;
    if (other === folder || other === 'util') return null;
    const grant = row.folders?.[other];
    if (grant === undefined || rest.length === 0) return `${folder}/ must not import ${other}/`;
    return allowed(grant, rest.join('/'))
      ? null
      : `${folder}/ may import ${other}/ only through ${grant.join(', ')}`;
  }
  const bare = source.replace(/^node:/, '');
  if (source.startsWith('node:') || builtins.has(bare)) {
    if (pure) return `${file} is pure: time, randomness and IO come in as arguments`;
    if (!source.startsWith('node:')) return `write node:${bare}`;
    if (row.node === undefined) return `${folder}/ is pure: it must not import node:${bare}`;
    return allowed(row.node, bare) ? null : `${folder}/ may import only node:${row.node.join(', node:')}`;
  }
  const name = source.startsWith('@') ? source.split('/').slice(0, 2).join('/') : source.split('/')[0];
  const grant = row.packages?.[name] ?? row.packages?.[`${name.split('/')[0]}/*`];
  if (grant === undefined) return `${folder}/ must not import the package ${name}`;
  if (pure) return `${file} is pure: it must not import the package ${name}`;
  return allowed(grant, within) ? null : `${name} may be imported only in ${folder}/${grant.join(', ')}`;
}

const rule = {
  meta: { type: 'problem', docs: { description: 'enforce the import table' }, schema: [] },
  create(context) {
    const file = relative(resolve(context.cwd, 'src'), context.filename).split(sep).join('/');
    if (file.startsWith('..')) return {};
    const check = (node, source) => {
      if (source?.type !== 'Literal' || typeof source.value !== 'string') return;
      const message = forbidden(file, source.value);
      if (message !== null) context.report({ node, message });
    };
    const visit = node => check(node, node.source);
    return {
      ImportDeclaration: visit,
      ExportNamedDeclaration: visit,
      ExportAllDeclaration: visit,
      ImportExpression: visit,
      TSImportType: node => check(node, node.source ?? node.argument?.literal),
      CallExpression(node) {
        if (node.callee.type === 'Identifier' && node.callee.name === 'require')
          check(node, node.arguments[0]);
      },
    };
  },
};

export default { rules: { imports: rule } };
