// The gateway on ARM, under qemu-user: the bundle's own doctor, and a real session on a real TUN between an emulated gateway
// and a native client: handshake with PSK, ping, stale logout by the data plane's own clock. With node:ffi and with koffi, 64
// and 32 bit (other structures, other time_t), with and without NEON (no SIMD in WebAssembly). Emulated time means
// nothing, so nothing is measured here but that it happens. The first run downloads some 70 MB.

import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { has, Lab, run, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { agentBundle, newKeys, node26, plan, sallyport, Tunnel, wg } from '../fixtures/lab/tunnels.ts';

const root = new URL('../../', import.meta.url).pathname;
const cache = join(root, 'node_modules/.cache/sallyport-qemu');
t.setTimeout(1_000_000);

function whyNot(): string | false {
  const lab = whyNoLab('npm', 'apt-get', 'dpkg-deb');
  if (lab !== null) return lab;
  for (const program of ['qemu-aarch64-static', 'qemu-arm-static'])
    if (!has(program)) return `${program} is not installed (qemu-user-static)`;
  return existsSync(agentBundle) ? false : 'dist/agent.mjs is missing: run npm run build';
}
const skip = whyNot();

/** The gateway process as one plain JavaScript file: Node 20 on ARM strips no types and knows no `using`. */
function bundle(file: string): void {
  const config = `
import typescript from 'typescript';
import nodeResolve from '@rollup/plugin-node-resolve';
// What import() names is evaluated before its importer, as in the real bundle: a data plane never gives way to what comes later.
const first = code => [...code.matchAll(/import\\(\\s*'(\\.[^']+\\.ts)'\\s*\\)/g)].map(found => "\\nimport '" + found[1] + "';").join('');
const compilerOptions = { target: typescript.ScriptTarget.ES2023, module: typescript.ModuleKind.ESNext, importHelpers: true,
  verbatimModuleSyntax: true, isolatedModules: true };
const compile = { name: 'compile', transform: (code, id) =>
  id.endsWith('.ts') ? { code: typescript.transpileModule(code, { fileName: id, compilerOptions }).outputText + first(code), map: null } : null };
export default { input: 'test/fixtures/lab/gatewaybundle.ts', external: ['koffi'], plugins: [compile, nodeResolve()],
  output: { file: ${JSON.stringify(file)}, format: 'es', inlineDynamicImports: true }, onwarn: () => {} };
`;
  const path = join(root, `node_modules/.cache/gateway-${process.pid}.config.mjs`);
  writeFileSync(path, config);
  const rollup = join(root, 'node_modules/rollup/dist/bin/rollup');
  const { status, stderr } = run(node26, ['--disable-warning=ExperimentalWarning', rollup, '-c', path, '--silent'], {
    timeoutMs: 60_000,
  });
  run('rm', [path]);
  if (status !== 0) throw new Error(stderr);
}

interface Machine {
  readonly arch: 'arm64' | 'armhf';
  readonly flags: readonly string[];
  readonly cpu?: string;
  readonly crypto?: string;
  readonly expect: { ffi: string; crypto: RegExp };
}

const machines: Readonly<Record<string, Machine>> = {
  'arm64, node:ffi': {
    arch: 'arm64',
    flags: ['--experimental-ffi', '--disable-warning=ExperimentalWarning'],
    expect: { ffi: 'node:ffi', crypto: /^openssl/ },
  },
  'arm64, koffi, WebAssembly with SIMD': {
    arch: 'arm64',
    flags: [],
    crypto: 'wasm-simd',
    expect: { ffi: 'koffi', crypto: /^wasm-simd$/ },
  },
  'armhf, koffi': { arch: 'armhf', flags: [], expect: { ffi: 'koffi', crypto: /^openssl/ } },
  'armhf without NEON, scalar WebAssembly': {
    arch: 'armhf',
    flags: [],
    cpu: 'cortex-a9,neon=off',
    crypto: 'wasm',
    expect: { ffi: 'koffi', crypto: /^wasm$/ },
  },
};

type Line = { ready?: { ffi: string; crypto: string }; kind?: string; reason?: string; granted?: { ok: boolean } };

const prepared = new Map<string, string | null>();
/** A slow mirror is no fault of the gateway's. */
const downloadMs = 300_000;
/** The emulated node of an architecture, or why there is none. */
function prepare(arch: string): { dir: string; why: string | null } {
  const dir = join(cache, arch);
  if (!prepared.has(arch)) {
    mkdirSync(dir, { recursive: true });
    const { status, stderr } = run(join(root, 'firmware/qemu.sh'), [arch, dir], { timeoutMs: downloadMs });
    const why = status === 0 ? null : `qemu.sh: ${stderr.trim().split('\n').at(-1)}`;
    if (why === null) bundle(join(dir, 'gateway.mjs'));
    if (status === 0) copyFileSync(agentBundle, join(dir, 'agent.mjs'));
    prepared.set(arch, why);
  }
  return { dir, why: prepared.get(arch)! };
}

// Outside of the tests, so that it does not count as their time.
if (skip === false) for (const { arch } of Object.values(machines)) prepare(arch);

for (const [name, machine] of Object.entries(machines)) {
  t.test(name, { skip, timeout: 180_000 }, async t => {
    const { dir, why } = prepare(machine.arch);
    if (why !== null) return void t.test(why, { skip: why }, async () => undefined);
    const env = machine.cpu === undefined ? {} : { QEMU_CPU: machine.cpu };
    const node = join(dir, 'node');

    const doctor = run(node, [...machine.flags, join(dir, 'agent.mjs'), 'doctor', '--json'], { env, timeoutMs: 90_000 });
    t.match(doctor.stdout, /^\{"ok":true,/, `doctor finds nothing that stops the agent ${doctor.stderr}`);

    const lab = new Lab('sparm');
    t.teardown(() => lab.close());
    const [near, far] = [lab.namespace('a'), lab.namespace('b')];
    lab.cable(near, far, [`${plan.a.outer4}/24`], [`${plan.b.outer4}/24`]);
    const [keys, psk] = [newKeys(), wg('genpsk')];
    const client = await Tunnel.start(lab, sallyport(), far, plan.b.port);
    const gateway = near.start(node, [...machine.flags, join(dir, 'gateway.mjs')], { input: true, env });
    const ifname = lab.interfaceName();
    gateway.child.stdin!.write(
      `${JSON.stringify({
        ifname,
        privateKey: keys.privateKey,
        port: plan.a.port,
        device: client.keys.publicKey,
        psk,
        address: plan.b.inner4.split('.').map(Number),
        staleAfterMs: 12_000,
        ffi: machine.expect.ffi,
        ...(machine.crypto !== undefined && { crypto: machine.crypto }),
      })}\n`,
    );
    const lines = (): Line[] =>
      gateway.stdout
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as Line);
    t.ok(await until(() => !gateway.isAlive || lines().some(line => line.granted !== undefined), 60_000));
    t.ok(gateway.isAlive, gateway.stderr);
    const { ffi, crypto } = lines().find(line => line.ready !== undefined)!.ready!;
    t.equal(ffi, machine.expect.ffi);
    t.match(crypto, machine.expect.crypto);
    near.ip(`addr add ${plan.a.inner4}/24 dev ${ifname}`);

    client.peer(keys.publicKey, ['allowed-ips', `${plan.a.inner4}/32`, 'endpoint', `${plan.a.outer4}:${plan.a.port}`]);
    client.up([`${plan.b.inner4}/24`]);
    t.equal(far.ping(plan.a.inner4, 1, { waitS: 1 }), 0, 'no PSK, no answer');
    client.peer(keys.publicKey, [], psk);
    t.ok(await until(() => far.ping(plan.a.inner4, 1, { waitS: 1 }) === 1, 20_000), 'a ping with the PSK');
    t.equal(far.ping(plan.a.inner4, 3, { bytes: 1300, waitS: 5 }), 3, 'large ones');
    t.ok(await until(() => lines().some(line => line.kind === 'confirmed'), 5000));
    client.process.child.kill('SIGKILL');
    t.ok(await until(() => lines().some(line => line.kind === 'ended'), 30_000, 100), 'logged out by itself');
    t.equal(lines().find(line => line.kind === 'ended')!.reason, 'stale');
    await gateway.stop(15_000);
  });
}
