// The procd init script, driven under busybox ash with stand-ins for OpenWrt's functions (fixtures/openwrt.ts).

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/agent/config/config.ts';
import { agentOptions } from '../../src/agent/config/schema.ts';
import { has } from '../fixtures/lab/netns.ts';
import { packageRoot, procdStubs, Router } from '../fixtures/lab/openwrt.ts';

const skip = !has('busybox') && 'busybox is not installed';
const text = readFileSync(join(packageRoot, 'etc/init.d/sallyport'), 'utf8');

function start(
  t: Test,
  uci: (router: Router) => string,
  options: { ujail?: boolean; env?: Record<string, string>; call?: string } = {},
): { router: Router; calls: string[]; status: number; stderr: string; has: (line: string | RegExp) => boolean } {
  const router = new Router();
  t.teardown(() => router.close());
  const ujail = router.path('ujail');
  if (options.ujail !== false) router.program('../ujail', '');
  const script = text.replaceAll('/sbin/ujail', ujail);
  const { calls, status, stderr } = router.run(
    procdStubs(uci(router)),
    `${script}\n${options.call ?? 'start_service'}`,
    options.env,
  );
  const has = (line: string | RegExp): boolean =>
    calls.some(call => (typeof line === 'string' ? call === line : line.test(call)));
  return { router, calls, status, stderr, has };
}

const gateway = (router: Router, more = ''): string => `
config globals
	option log_level 'debug'
config gateway 'main'
	option enabled '1'
	option core_url 'https://core.example:8443'
	option node '${router.path('bin/node')}'
${more}
`;

t.test('disabled is silent: nothing is made and nothing is started', { skip }, async t => {
  const { calls } = start(t, () => "config gateway 'main'\n\toption enabled '0'");
  t.same(calls, ['config_load sallyport']);
});

t.test('addresses in UCI: an owned TUN, no capability, a jail', { skip }, async t => {
  const { calls, has, router, status, stderr } = start(t, router =>
    gateway(router, "\tlist addresses '10.77.0.1/24'\n\tlist addresses 'fd77::1/64'\n\tlist routes '10.78.0.0/16'"),
  );
  t.equal(status, 0, stderr);
  t.equal(stderr, '');
  const run = router.path('run/main');
  t.ok(has('ip tuntap add dev wg0 mode tun user sallyport group sallyport'));
  t.ok(has('ip link set dev wg0 mtu 1420 up'));
  t.ok(has('ip address replace 10.77.0.1/24 dev wg0'));
  t.ok(has('ip address replace fd77::1/64 dev wg0'));
  t.ok(has('ip route replace 10.78.0.0/16 dev wg0'));
  t.ok(
    has(
      `procd_set_param command ${router.path('bin/node')} --max-old-space-size=64 /usr/lib/sallyport/agent.mjs agent --uci ${run}/config --section main`,
    ),
  );
  t.ok(has('procd_append_param env SALLYPORT_CONFIGURE_LINK=0'));
  t.ok(has('procd_set_param capabilities /etc/capabilities/sallyport.json'));
  t.ok(has('procd_set_param user sallyport'));
  t.ok(has('procd_set_param no_new_privs 1'));
  t.ok(has('procd_set_param respawn 3600 5 0'), 'never gives up');
  t.ok(has('procd_set_param reload_signal HUP'));
  t.ok(has('procd_set_param file /etc/config/sallyport'));
  t.ok(has('procd_add_jail sallyport-main procfs ubus log'));
  t.ok(has(`procd_add_jail_mount_rw ${router.path('tun')} ${router.path('uapi')} ${run} ${router.path('etc/main')}`));
  t.ok(has('json_add_string dest_port 51820'));
  t.ok(has('json_add_string src wan'));
  t.equal(calls.filter(call => call.startsWith('procd_open')).length, calls.filter(call => call.startsWith('procd_close')).length);
  t.ok(has(/^chown -R sallyport:sallyport .*run\/main .*etc\/main$/));
  t.equal(statSync(run).mode & 0o777, 0o700);
  t.equal(statSync(`${run}/config`).mode & 0o777, 0o600);
  // No secret and no volatile value on the command line.
  t.notOk(calls.some(call => call.startsWith('procd_set_param command') && /spj_|debug/.test(call)));
});

t.test('the copy is what the agent reads, by its own schema', { skip }, async t => {
  const { router } = start(t, router => gateway(router, "\tlist addresses '10.77.0.1/24'\n\toption max_life '12h'"));
  const config = loadConfig({
    args: ['--uci', router.path('run/main/config'), '--section', 'main'],
    environment: { SALLYPORT_CONFIGURE_LINK: '0' },
  });
  t.match(config, {
    core_url: 'https://core.example:8443',
    log_level: 'debug',
    max_life: 12 * 3_600_000,
    configure_link: false,
  });
});

t.test('addresses from Core: the one capability', { skip }, async t => {
  const { has, calls } = start(t, router => gateway(router));
  t.ok(has('procd_set_param capabilities /etc/capabilities/sallyport-net-admin.json'));
  t.notOk(calls.some(call => call.startsWith('ip ')), 'the agent makes the interface itself');
  t.notOk(has('procd_append_param env SALLYPORT_CONFIGURE_LINK=0'));
});

t.test('no FFI: the launcher opens the TUN, as the user it belongs to', { skip }, async t => {
  const uci = (router: Router): string =>
    gateway(router, "\toption ffi 'inherited-fd'\n\tlist addresses '10.77.0.1/24'");
  const { has, calls, router, status, stderr } = start(t, uci, { env: { SALLYPORT_PERL: '/bin/sh' } });
  t.equal(status, 0, stderr);
  t.ok(has('ip tuntap add dev wg0 mode tun user sallyport group sallyport'));
  const launcher = `/usr/lib/sallyport/tun-launch -d ${router.path('tun')} wg0`;
  t.ok(
    has(
      `procd_set_param command ${launcher} ${router.path('bin/node')} --max-old-space-size=64 /usr/lib/sallyport/agent.mjs agent --uci ${router.path('run/main')}/config --section main`,
    ),
  );
  t.ok(has('procd_set_param user sallyport'));
  t.ok(has('procd_append_param env SALLYPORT_CONFIGURE_LINK=0'));
  t.notOk(calls.some(call => call.startsWith('procd_add_jail')));
  t.match(loadConfig({ args: ['--uci', router.path('run/main/config'), '--section', 'main'], environment: {} }), {
    ffi: 'inherited-fd',
  });

  const without = start(t, uci, { env: { SALLYPORT_PERL: '/nowhere/perl' } });
  t.ok(without.has(/^logger .*install the package perl/));
  t.notOk(without.has(/^procd_set_param command/));
});

t.test('without ujail there is no capability to give: said, and started all the same', { skip }, async t => {
  const { has } = start(t, router => gateway(router), { ujail: false });
  t.ok(has(/^logger .*add 'list addresses', or install procd-ujail/));
  t.ok(has('ip tuntap add dev wg0 mode tun user sallyport group sallyport'));
  t.ok(has(/^procd_set_param command/));
});

t.test('a join token is copied, private, and named by file', { skip }, async t => {
  const { router, has } = start(t, router => {
    mkdirSync(router.path('etc'));
    writeFileSync(router.path('etc/join_token'), 'spj_x\n');
    return gateway(router, `\toption join_token_file '${router.path('etc/join_token')}'`);
  });
  const copy = router.path('run/main/join_token');
  t.equal(readFileSync(copy, 'utf8'), 'spj_x\n');
  t.equal(statSync(copy).mode & 0o777, 0o600);
  t.ok(has(`procd_append_param env SALLYPORT_JOIN_TOKEN_FILE=${copy}`));
  t.ok(has(`procd_append_param file ${router.path('etc/join_token')}`));
});

t.test('a token that is not there is no obstacle: it is needed once', { skip }, async t => {
  const { has, router } = start(t, router => gateway(router, "\toption join_token_file '/nowhere/token'"));
  t.notOk(has(/SALLYPORT_JOIN_TOKEN_FILE/));
  t.notOk(existsSync(router.path('run/main/join_token')));
  t.ok(has(/^procd_set_param command/));
});

t.test('two gateways are two instances, with two names on the bus', { skip }, async t => {
  const { has } = start(t, router => {
    const main = gateway(router);
    return main + main.replace(/config globals[^]*config gateway 'main'/, "config gateway 'two'\n\toption ifname 'wg1'");
  });
  t.ok(has('procd_open_instance main'));
  t.ok(has('procd_open_instance two'));
  t.ok(has(/^procd_set_param env .*SALLYPORT_UBUS=sallyport$/));
  t.ok(has(/^procd_set_param env .*SALLYPORT_UBUS=sallyport\.two$/));
});

t.test('node of any kind', { skip }, async t => {
  const with26 = start(t, router => gateway(router), { env: { NODE_VERSION: 'v26.10.0' } });
  t.ok(with26.has(/^procd_set_param command .* --experimental-ffi --disable-warning=ExperimentalWarning \/usr/));
  const with18 = start(t, router => gateway(router), { env: { NODE_VERSION: 'v18.20.6' } });
  t.ok(with18.has(/^logger .*v18\.20\.6: 20\.19 or newer is needed/));
  t.notOk(with18.has(/^procd_open_instance/));
  const broken = start(t, router => gateway(router), { env: { NODE_VERSION: ' ' } });
  t.ok(broken.has(/^logger .*does not run on this processor/));
  const missing = start(t, () => "config gateway 'main'\n\toption enabled 1\n\toption node '/nowhere/node'");
  t.ok(missing.has(/^logger .*\/nowhere\/node is missing: install the package node/));
});

t.test('a section that does not validate is refused with a line', { skip }, async t => {
  const { has } = start(t, router => gateway(router, "\toption listen_port 'many'"));
  t.ok(has(/^logger .*section main is not valid/));
  t.notOk(has(/^procd_open_instance/));
});

t.test('stopping takes the interface and the private files away, after the agent', { skip }, async t => {
  const { has, router } = start(t, router => gateway(router, "\tlist addresses '10.77.0.1/24'"), {
    call: 'start_service; service_stopped',
  });
  t.notOk(existsSync(router.path('run/main')));
  t.ok(has('procd_set_config_changed firewall'));
});

t.test('reload follows the configuration', { skip }, async t => {
  const { has } = start(t, () => '', { call: 'service_triggers' });
  t.ok(has('procd_add_reload_trigger sallyport'));
  t.ok(has('procd_add_validation validate_gateway'));
});

t.test("the script's own options are either the agent's or known to it", async t => {
  const rules = [...text.matchAll(/^\t\t'([a-z_]+):/gm)].map(match => match[1]!);
  t.ok(rules.length > 10);
  const own = ['enabled', 'join_token_file', 'open_port', 'memory', 'node', 'jail'];
  for (const rule of rules) t.ok(Object.hasOwn(agentOptions, rule) || own.includes(rule), rule);
});

t.test('the configuration we ship is off, and valid once it is filled in', async t => {
  const shipped = readFileSync(join(packageRoot, 'etc/config/sallyport'), 'utf8');
  const filled = shipped
    .replace("enabled '0'", "enabled '1'")
    .replace("core_url ''", "core_url 'https://core.example'")
    .replace('#list', 'list');
  const config = loadConfig({ args: ['--uci', '/u'], environment: {}, readFile: () => filled });
  t.equal(config.core_url, 'https://core.example');
  t.equal(config.addresses.length, 1);
});
