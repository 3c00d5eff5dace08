// The protocol without WebAssembly and without a compiler: vectors, handshake, peers, timers and device, each file of tests as it
// stands, under `node --jitless`. What is left then is StableLib.

import t from 'tap';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeStripped } from '../../fixtures/stripped.ts';

t.setTimeout(300_000);

const files = [
  'wireguard/primitives/stablelib',
  'wireguard/primitives/crypto',
  'wireguard/noise/handshake',
  'wireguard/dos/cookie',
  'wireguard/device',
];

t.test('vectors and conformance under --jitless', { timeout: 290_000 }, async t => {
  const folder = t.testdir({});
  writeStripped(folder);
  const start = join(folder, 'start.js');
  writeFileSync(
    start,
    `import { preparePortable } from './src/agent/portableproviders.js';
     await preparePortable();`,
  );
  await Promise.all(
    files.map(async file => {
      const path = join(folder, 'test', `${file}.test.js`);
      const child = spawn(process.execPath, ['--jitless', `--import=${start}`, path], {
        env: { PATH: process.env['PATH'], TAP_TIMEOUT: '240' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      child.stdout.on('data', chunk => (said += String(chunk)));
      child.stderr.on('data', chunk => (said += String(chunk)));
      const [status] = (await once(child, 'close')) as [number];
      t.equal(status, 0, `${file}: ${status === 0 ? 'passes' : said.slice(-4000)}`);
    }),
  );
});
