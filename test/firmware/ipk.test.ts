// The .ipk as opkg sees it: built twice to the same bytes, unpacked into an offline root, and every file, mode, owner and
// conffile compared; its post-install script run the way image builders run it (IPKG_INSTROOT).

import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { has, run } from '../fixtures/lab/netns.ts';
import { openwrt, packageRoot } from '../fixtures/lab/openwrt.ts';

const skip = !has('tar') && 'tar is not installed';
const dir = mkdtempSync(join(tmpdir(), 'sallyport-ipk-'));
t.teardown(() => rmSync(dir, { recursive: true }));
const bundle = join(dir, 'agent.mjs');
writeFileSync(bundle, '#!/usr/bin/env node\n');
writeFileSync(`${bundle}.LICENSE.txt`, 'notices\n');

function build(name: string): string {
  const out = join(dir, name);
  const { status, stderr } = run(join(openwrt, 'ipk.sh'), [out], {
    env: { SALLYPORT_BUNDLE: bundle, SOURCE_DATE_EPOCH: '1790000000' },
  });
  if (status !== 0) throw new Error(stderr);
  return out;
}

function unpack(file: string): { root: string; control: string } {
  const at = join(dir, `unpacked-${readdirSync(dir).length}`);
  const [root, control] = [join(at, 'root'), join(at, 'control')];
  for (const path of [at, root, control]) mkdirSync(path);
  run('tar', ['-xzf', file, '-C', at]);
  run('tar', ['-xzpf', join(at, 'data.tar.gz'), '-C', root]);
  run('tar', ['-xzpf', join(at, 'control.tar.gz'), '-C', control]);
  return { root, control };
}

/** `mode owner/group path` of each entry, as tar tells. */
function listing(file: string, member: string): string[] {
  const { stdout } = run('sh', ['-c', `tar -xzOf "$1" ./${member} | tar -tvzf - --numeric-owner`, 'sh', file]);
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => {
      const [mode, owner, , , , ...name] = line.split(/\s+/);
      return `${mode} ${owner} ${name.join(' ')}`;
    });
}

t.test('sallyport', { skip }, async t => {
  const out = build('a');
  const file = join(out, 'sallyport_0.1.0-r1_all.ipk');
  t.ok(existsSync(file));
  t.same(run('tar', ['-tzf', file]).stdout.trim().split('\n'), ['./debian-binary', './data.tar.gz', './control.tar.gz']);

  t.same(
    listing(file, 'data.tar.gz').filter(line => !line.startsWith('drwxr-xr-x 0/0')),
    [
      '-rw-r--r-- 0/0 ./etc/capabilities/sallyport-net-admin.json',
      '-rw-r--r-- 0/0 ./etc/capabilities/sallyport.json',
      '-rw------- 0/0 ./etc/config/sallyport',
      '-rwxr-xr-x 0/0 ./etc/hotplug.d/sallyport/10-log',
      '-rwxr-xr-x 0/0 ./etc/init.d/sallyport',
      '-rwxr-xr-x 0/0 ./etc/uci-defaults/90-sallyport',
      '-rwxr-xr-x 0/0 ./lib/netifd/proto/sallyport.sh',
      '-rw-r--r-- 0/0 ./lib/upgrade/keep.d/sallyport',
      'lrwxrwxrwx 0/0 ./usr/bin/sallyport -> ../lib/sallyport/agent.mjs',
      '-rwxr-xr-x 0/0 ./usr/lib/sallyport/agent.mjs',
      '-rwxr-xr-x 0/0 ./usr/lib/sallyport/tun-launch',
      '-rw-r--r-- 0/0 ./usr/share/acl.d/sallyport.json',
      '-rw-r--r-- 0/0 ./usr/share/sallyport/LICENSE.txt',
    ],
  );

  const { root, control } = unpack(file);
  t.equal(readFileSync(join(control, 'conffiles'), 'utf8'), '/etc/config/sallyport\n');
  t.equal(statSync(join(root, 'etc/config/sallyport')).mode & 0o777, 0o600);
  t.equal(
    readFileSync(join(root, 'etc/init.d/sallyport'), 'utf8'),
    readFileSync(join(packageRoot, 'etc/init.d/sallyport'), 'utf8'),
  );
  const fields = readFileSync(join(control, 'control'), 'utf8');
  for (const field of [
    'Package: sallyport',
    'Version: 0.1.0-r1',
    'Architecture: all',
    'License: Apache-2.0',
    'Require-User: sallyport=453:sallyport=453',
  ])
    t.match(fields, new RegExp(`^${field}$`, 'm'));
  t.match(fields, /^Depends: .*kmod-tun.*node/m);
  t.notMatch(fields, /wireguard/, 'wireguard-tools would pull in the kernel module');
  t.match(fields, /^Installed-Size: [1-9]/m);
  t.match(readFileSync(join(root, 'lib/upgrade/keep.d/sallyport'), 'utf8'), /^\/etc\/sallyport\/$/m);
});

t.test('the post-install script in an offline root', { skip }, async t => {
  const { root, control } = unpack(join(build('a'), 'sallyport_0.1.0-r1_all.ipk'));
  const post = (environment: Record<string, string>): { status: number; stdout: string } =>
    run('sh', [join(control, 'postinst'), 'configure'], { env: environment });
  t.equal(post({ IPKG_INSTROOT: root }).status, 0, 'no functions.sh: nothing to do');
  writeFileSync(join(root, 'lib/functions.sh'), 'default_postinst() { echo "postinst $*"; }\n');
  t.match(post({ IPKG_INSTROOT: root }).stdout, /postinst .*postinst configure/);
  t.equal(post({ IPKG_INSTROOT: root, IPKG_NO_SCRIPT: '1' }).stdout, '');
});

t.test('the same input gives the same bytes', { skip }, async t => {
  const [a, b] = [build('a'), build('b')];
  for (const name of readdirSync(a)) t.ok(readFileSync(join(a, name)).equals(readFileSync(join(b, name))), name);
});

t.test('luci-app-sallyport', { skip }, async t => {
  const file = join(build('a'), 'luci-app-sallyport_0.1.0-r1_all.ipk');
  t.same(
    listing(file, 'data.tar.gz').filter(line => !line.startsWith('d')),
    [
      '-rw-r--r-- 0/0 ./usr/share/luci/menu.d/luci-app-sallyport.json',
      '-rw-r--r-- 0/0 ./usr/share/rpcd/acl.d/luci-app-sallyport.json',
      '-rw-r--r-- 0/0 ./www/luci-static/resources/protocol/sallyport.js',
      '-rw-r--r-- 0/0 ./www/luci-static/resources/view/sallyport/overview.js',
      '-rw-r--r-- 0/0 ./www/luci-static/resources/view/sallyport/settings.js',
    ],
  );
  t.notOk(existsSync(join(unpack(file).control, 'conffiles')));
});

t.test('a bundle that is missing is said', { skip }, async t => {
  const { status, stderr } = run(join(openwrt, 'ipk.sh'), [join(dir, 'c')], { env: { SALLYPORT_BUNDLE: '/nowhere' } });
  t.equal(status, 1);
  t.match(stderr, /run 'npm run build' first/);
});

t.test('versions agree with package.json', async t => {
  const { version } = JSON.parse(readFileSync(join(openwrt, '../../package.json'), 'utf8')) as { version: string };
  for (const name of ['sallyport', 'luci-app-sallyport'])
    t.match(readFileSync(join(openwrt, name, 'Makefile'), 'utf8'), `PKG_VERSION:=${version}\n`, name);
});
