// Short names for the properties and methods that only our own code knows, for the bundle that is flashed: 5 % of it. A name is
// left alone when anything else could know it: the language, Node, a dependency, a foreign function interface; when it is written
// anywhere as text; when it is exported; or when an object that bears it may leave the process, or is a field of a log line. So
// the rule errs towards long names. Like any minifier it has no idea of types; `test/firmware/agent.test.ts` looks at all that the
// file writes, and the other tests of it (interop, e2e, firmware, demo) prove the rest.

import { globSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';

/**
 * Sources whose objects stay in the process: the protocol, the path of packets, and the system calls under it. Of every other
 * source, and so of one that is added tomorrow, names may be read in JSON, UBUS messages, metrics or files, and are kept.
 */
const inward =
  /^src\/(util|wireguard|datapath|control\/(channel|connection|dial|dialer)\.ts|platform(?!\/(ffi\/|doctor))|agent\/(blobmsg|coreclock|counters|cryptor|dataplane|datagrams|droproot|gate|handoff|inherited|jobs|keptkey|link|loop|messages|network|outbox|portable|rehearsal|second|session|show|sockets|tunnel|ubusmessage|uapi|uapiclient|uapiparse|wires)\.ts)/;
/** Not in the gateway's file. */
const elsewhere = /^src\/((core|proxy|client)\/|main\.ts)/;
/** Keys of these are listed with Object.entries: names of offloads. */
const listed = ['tso4', 'tso6', 'uso4', 'uso6', 'gso', 'gro', 'csum'];

const foreign = [
  'node_modules/typescript/lib/lib.es*.d.ts',
  'node_modules/@types/node/**/*.d.ts',
  'node_modules/@types/ws/*.d.ts',
  'node_modules/koffi/index.d.ts',
  'node_modules/ws/lib/{buffer-util,constants,receiver,sender}.js', // of the others nothing is in the file
  'node_modules/@noble/*/*.js',
  'node_modules/@noble/curves/abstract/fft.js',
  'node_modules/smol-toml/dist/*.js',
  'src/**/*.d.ts',
];

/** Two classes of ws that only we construct: what they call `_name`, and Node's streams do not, is theirs alone. */
const frames = /\/ws\/lib\/(receiver|sender)\.js$/;

const parse = path => ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ESNext, true);

function walk(node, visit) {
  visit(node);
  ts.forEachChild(node, child => walk(child, visit));
}

const isLogCall = node =>
  ts.isCallExpression(node) &&
  ts.isPropertyAccessExpression(node.expression) &&
  ['error', 'warn', 'info', 'debug', 'trace'].includes(node.expression.name.text);

/** A name that cannot be one of a property: of a parameter or a type. */
const isLocal = ({ parent }) =>
  ts.isParameter(parent) ||
  ts.isTypeReferenceNode(parent) ||
  ts.isTypeParameterDeclaration(parent) ||
  ts.isTypePredicateNode(parent);

function isExported(node) {
  return (node.modifiers ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
}

/** Whether Node's type stripping leaves nothing of this node, or no name in it. */
const isErased = node =>
  ts.isTypeNode(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  (ts.isMethodDeclaration(node) && node.body === undefined) ||
  (ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some(
      ({ kind }) => kind === ts.SyntaxKind.DeclareKeyword || kind === ts.SyntaxKind.AbstractKeyword,
    ));

const isNamed = node =>
  ts.isPropertyAccessExpression(node) ||
  ts.isPropertyAssignment(node) ||
  ts.isPropertyDeclaration(node) ||
  ts.isMethodDeclaration(node) ||
  ts.isAccessor(node);

/** Calls `found(name, from, to, suffix)` for every property name in the code: where it stands, and what follows the new one. */
function names(node, found) {
  if (isErased(node)) return;
  if (isNamed(node) && ts.isIdentifier(node.name))
    found(node.name.text, node.name.getStart(), node.name.end, '');
  else if (ts.isShorthandPropertyAssignment(node))
    found(node.name.text, node.name.getStart(), node.name.end, `:${node.name.text}`);
  else if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent) && !node.dotDotDotToken) {
    const key = node.propertyName ?? node.name;
    if (ts.isIdentifier(key))
      found(key.text, key.getStart(), key.end, node.propertyName === undefined ? `:${key.text}` : '');
  }
  ts.forEachChild(node, child => names(child, found));
}

/** The new name of every property that may have one, the most frequent first. */
function choose(root) {
  const kept = new Set(listed);
  const used = new Map();
  for (const path of foreign.flatMap(pattern => globSync(pattern, { cwd: root })))
    walk(parse(`${root}/${path}`), node => {
      if (ts.isStringLiteralLike(node) || (ts.isIdentifier(node) && !isLocal(node)))
        if (!frames.test(path) || !/^_[a-z]/.test(node.text)) kept.add(node.text);
    });
  for (const path of ['receiver', 'sender'])
    names(parse(`${root}/node_modules/ws/lib/${path}.js`), name => {
      if (name.startsWith('_')) used.set(name, (used.get(name) ?? 0) + 1);
    });
  for (const path of globSync('src/**/*.ts', { cwd: root })) {
    if (elsewhere.test(path)) continue;
    const isOutward = !inward.test(path);
    walk(parse(`${root}/${path}`), node => {
      if (ts.isStringLiteralLike(node) && !ts.isLiteralTypeNode(node.parent)) kept.add(node.text);
      else if (isOutward && ts.isMethodSignature(node)) kept.add(node.name.getText());
      else if (isExported(node) && node.name !== undefined) kept.add(node.name.text);
      else if (isExported(node) && ts.isVariableStatement(node))
        for (const { name } of node.declarationList.declarations) kept.add(name.getText());
      else if (isLogCall(node))
        for (const argument of node.arguments)
          walk(argument, inner => ts.isIdentifier(inner) && kept.add(inner.text));
      else if (
        isOutward &&
        (ts.isPropertySignature(node) ||
          ts.isPropertyAssignment(node) ||
          ts.isShorthandPropertyAssignment(node))
      )
        kept.add(node.name.getText());
    });
    names(parse(`${root}/${path}`), name => used.set(name, (used.get(name) ?? 0) + 1));
  }
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
  const short = [...letters, ...[...letters].flatMap(a => [...letters].map(b => a + b))].filter(
    name => !kept.has(name) && !used.has(name),
  );
  return new Map(
    [...used]
      .filter(([name]) => name.length > 2 && !kept.has(name))
      .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
      .map(([name], i) => [name, short[i]]),
  );
}

/** A rollup plugin; the first that sees a source, for it counts on TypeScript. */
export function shortNames(root) {
  let chosen;
  return {
    name: 'short-names',
    buildStart() {
      chosen = choose(root);
    },
    transform(code, id) {
      if (!/^src\/.*\.ts$/.test(relative(root, id)) && !frames.test(id)) return null;
      const edits = [];
      const source = ts.createSourceFile(id, code, ts.ScriptTarget.ESNext, true);
      names(source, (name, from, to, suffix) => {
        const instead = chosen.get(name);
        if (instead !== undefined) edits.push([from, to, instead + suffix]);
      });
      let text = '';
      let at = 0;
      for (const [from, to, instead] of edits.sort(([a], [b]) => a - b)) {
        text += code.slice(at, from) + instead;
        at = to;
      }
      return { code: text + code.slice(at), map: null };
    },
  };
}
