// The single executable: built offline, it knows its commands, and a tunnel of it goes to the background and serves its socket,
// which takes the worker thread and a second start of the same file.

import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Lab, run, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { agentBundle } from '../fixtures/lab/tunnels.ts';

const script = new URL('../../firmware/sea.sh', import.meta.url).pathname;
const skip = whyNoLab() ?? (existsSync(agentBundle) ? false : 'dist/agent.mjs is missing: run npm run build');
t.setTimeout(90_000);

t.test('one executable', { skip }, async t => {
  const lab = new Lab('spsea');
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-sea-'));
  t.teardown(async () => {
    await lab.close();
    rmSync(dir, { recursive: true });
  });
  const program = join(dir, 'sallyport');
  const built = run(script, [program], { timeoutMs: 60_000 });
  t.equal(built.status, 0, built.stderr);
  t.comment(`${(statSync(program).size / 1e6).toFixed(0)} MB`);
  const env = { SALLYPORT_UNPACK: dir };
  t.match(run(program, ['genkey'], { env }).stdout, /^[A-Za-z0-9+/]{43}=\n$/);
  t.equal(run(program, ['frobnicate'], { env }).status, 2);
  const doctor = run(program, ['doctor'], { env });
  t.match(doctor.stdout, /^ok {3}ffi +node:ffi/m, 'its flag is inside');

  const space = lab.namespace('a');
  const ifname = lab.interfaceName();
  const started = space.run(program, ['tunnel', ifname], { env });
  t.equal(started.status, 0, started.stderr);
  const socket = `/var/run/wireguard/${ifname}.sock`;
  t.ok(existsSync(socket), 'ready when the command returns');
  t.match(run('wg', ['show', ifname]).stdout, `interface: ${ifname}`);
  rmSync(socket);
  t.ok(await until(() => !space.run('ip', ['-br', 'link']).stdout.includes(ifname), 5000), 'removing the socket ends it');
});
