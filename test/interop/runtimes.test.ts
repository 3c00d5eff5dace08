// The same bundle on every runtime we promise: the lock file's Node with node:ffi, the host's Node with koffi, Deno. A ping
// and a small transfer to wireguard-go on each, also with the portable ciphers, whose X25519 is the runtime's own. Deno is not in the lock file (its platform packages are not in every
// registry): `npm i --no-save deno` brings it, or any deno on the PATH.

import t from 'tap';
import type { Test } from 'tap';
import { existsSync, realpathSync } from 'node:fs';
import { Lab, has, run, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, node26, plan, sallyport, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const program = new URL('../fixtures/lab/transfer.ts', import.meta.url).pathname;
const localDeno = new URL('../../node_modules/.bin/deno', import.meta.url).pathname;

interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
  readonly missing: string | false;
}

/** The Node of the host, not the one npm scripts put first. */
const hostNode = ['/usr/bin/node', '/usr/local/bin/node'].find(
  path => existsSync(path) && realpathSync(path) !== realpathSync(node26),
);
const hostVersion = hostNode === undefined ? '' : run(hostNode, ['--version']).stdout.trim();
const deno = existsSync(localDeno) ? localDeno : has('deno') ? 'deno' : undefined;

const runtimes: Runtime[] = [
  {
    name: 'Node of the lock file, node:ffi',
    command: [node26, '--experimental-ffi', '--disable-warning=ExperimentalWarning'],
    missing: false,
  },
  { name: 'Node of the lock file, koffi', command: [node26, '--no-experimental-ffi'], missing: false },
  {
    name: `Node of the host ${hostVersion}, koffi`,
    command: [hostNode ?? ''],
    missing: hostNode === undefined ? 'the host has no Node of its own' : false,
  },
  {
    name: 'Deno',
    command: [deno ?? '', 'run', '-A', '--no-config'],
    missing: deno === undefined ? 'no deno: npm i --no-save deno' : false,
  },
];

for (const crypto of ['auto', 'wasm-simd', 'wasm'])
  for (const { name, command, missing } of runtimes)
    t.test(`${name}, ${crypto}`, { skip: skip || missing, timeout: 60_000 }, t =>
      carries(t, name, command, crypto),
    );

// Without WebAssembly, and with ciphers that the interpreter runs: a millisecond for each full packet, so fewer of them.
const jitless = [node26, '--jitless', '--experimental-ffi', '--disable-warning=ExperimentalWarning'];
for (const crypto of ['auto', 'stablelib'])
  t.test(`Node without a compiler (--jitless), ${crypto}`, { skip, timeout: 120_000 }, t =>
    carries(t, 'Node --jitless', jitless, crypto, 500_000),
  );

async function carries(
  t: Test,
  name: string,
  command: readonly string[],
  crypto: string,
  bytes = 5_000_000,
): Promise<void> {
  const base = sallyport(command, name);
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(
    lab,
    { ...base, env: { ...base.env, SALLYPORT_CRYPTO: crypto } },
    wireguardGo(),
  );
  t.equal(a.namespace.ping(plan.b.inner4, 5), 5, 'ping');
  t.equal(b.namespace.ping(plan.a.inner6, 5), 5, 'ping back');
  for (const [from, to, address] of [
    [a, b, plan.b.inner4],
    [b, a, plan.a.inner4],
  ] as const) {
    const server = to.namespace.start(node26, [program, 'serve', address, '5099']);
    t.ok(await until(() => server.stdout.includes('listening'), 10_000));
    const sender = from.namespace.start(node26, [program, 'send', address, '5099', `${bytes}`, '9']);
    t.equal(await sender.ended, 0, `${bytes} bytes: ${sender.stdout.trim()}${sender.stderr.trim()}`);
  }
  t.ok(a.process.isAlive);
}
