// Smoke test of the bundles: the same assertions under Node (any version of ours) and Deno, with nothing but node:assert.
// It proves that each file starts alone, without node_modules in sight, and that its keys are WireGuard keys.
//   node test/runtime/smoke.mjs         deno run -A test/runtime/smoke.mjs

import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const runtime =
  process.versions.deno === undefined ? [process.execPath] : [process.execPath, 'run', '-A', '--no-config'];

// Far from any node_modules: whatever a bundle still tries to import from there fails here.
const alone = mkdtempSync(join(tmpdir(), 'sallyport-smoke-'));

function sallyport(file, args, input = '') {
  const [program, ...flags] = runtime;
  const result = spawnSync(program, [...flags, join(alone, file), ...args], {
    input,
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status: result.status, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

let passed = 0;
function check(name, body) {
  body();
  passed++;
  process.stdout.write(`ok - ${name}\n`);
}

try {
  for (const file of ['agent.mjs', 'sallyport.mjs']) {
    assert.ok(existsSync(join(dist, file)), `dist/${file} is missing: run npm run build`);
    copyFileSync(join(dist, file), join(alone, file));

    check(`${file} --help`, () => {
      const { status, stdout, stderr } = sallyport(file, ['--help']);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /sallyport tunnel/);
    });

    check(`${file} unknown command`, () => {
      const { status, stderr } = sallyport(file, ['frobnicate']);
      assert.equal(status, 2);
      assert.match(stderr, /frobnicate/);
      assert.equal(stderr.trim().split('\n').length, 1, 'one line');
    });

    check(`${file} genkey | pubkey`, () => {
      const key = sallyport(file, ['genkey']);
      assert.equal(key.status, 0, key.stderr);
      const bytes = Buffer.from(key.stdout.trim(), 'base64');
      assert.equal(bytes.length, 32);
      assert.equal(bytes[0] & 7, 0);
      assert.equal(bytes[31] & 0xc0, 0x40);
      const pub = sallyport(file, ['pubkey'], key.stdout);
      assert.equal(pub.status, 0, pub.stderr);
      assert.equal(Buffer.from(pub.stdout.trim(), 'base64').length, 32);
    });

    check(`${file} pubkey of a known key`, () => {
      // RFC 7748 §6.1, Bob: private and public.
      const secret = Buffer.from('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb', 'hex');
      const known = Buffer.from('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f', 'hex');
      const { status, stdout, stderr } = sallyport(file, ['pubkey'], `${secret.toString('base64')}\n`);
      assert.equal(status, 0, stderr);
      assert.equal(stdout.trim(), known.toString('base64'));
    });

    check(`${file} genpsk`, () => {
      const { status, stdout, stderr } = sallyport(file, ['genpsk']);
      assert.equal(status, 0, stderr);
      assert.equal(Buffer.from(stdout.trim(), 'base64').length, 32);
    });
  }
  process.stdout.write(
    `${passed} smoke checks passed under ${process.versions.deno ? 'Deno' : 'Node'} ${process.versions.deno ?? process.versions.node}\n`,
  );
} finally {
  rmSync(alone, { recursive: true, force: true });
}
