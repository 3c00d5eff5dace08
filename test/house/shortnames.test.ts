import t from 'tap';
import { fileURLToPath } from 'node:url';
import { shortNames } from '../../scripts/lib/shortnames.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const plugin = shortNames(root);
plugin.buildStart();
const shortened = (code: string, id = `${root}/src/wireguard/x.ts`): string | undefined =>
  plugin.transform(code, id)?.code;

t.test('names that only our code knows', async t => {
  const before = 'a.packetBytes = b.packetBytes;';
  const name = /^a\.(\w{1,2}) = b\.\1;$/.exec(shortened(before)!)?.[1];
  t.ok(name, 'a short one, the same each time');
  t.equal(shortened('const { packetBytes } = a;'), `const { ${name}:packetBytes } = a;`);
  t.equal(shortened('const { packetBytes: x } = a;'), `const { ${name}: x } = a;`);
  t.equal(shortened('f({ packetBytes, x: 1 });'), `f({ ${name}:packetBytes, x: 1 });`);
  t.equal(
    shortened('interface I { packetBytes: number }'),
    'interface I { packetBytes: number }',
    'types are erased later',
  );
});

t.test('names that others know are left alone', async t => {
  for (const name of [
    'byteLength', // the language
    'writableLength', // Node
    'maxPayload', // a dependency
    'sinceHandshakeMs', // a frame to Core
    'findings', // doctor --json
    'recentEnds', // the status report
    'listen_port', // the configuration
    'retryInMs', // a field of a log line
    'arguments', // node:ffi
    'getSymbol', // a method of node:ffi
    'tso4', // listed by its key
  ])
    t.equal(shortened(`a.${name};`), `a.${name};`, name);
});

t.test('sources of others are not touched, but for the frames of ws', async t => {
  const code = 'a.packetBytes;';
  t.equal(plugin.transform(code, `${root}/node_modules/smol-toml/dist/parse.js`), null);
  t.match(shortened('this._frame = 1;', `${root}/node_modules/ws/lib/sender.js`), /^this\.\w+ = 1;$/);
});
