// The netifd protocol handler, driven under busybox ash with stand-ins for netifd's functions.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/agent/config/config.ts';
import { agentOptions } from '../../src/agent/config/schema.ts';
import { has } from '../fixtures/lab/netns.ts';
import { netifdStubs, packageRoot, Router } from '../fixtures/lab/openwrt.ts';

const skip = !has('busybox') && 'busybox is not installed';
const text = readFileSync(join(packageRoot, 'lib/netifd/proto/sallyport.sh'), 'utf8');

function handle(
  t: Test,
  options: Record<string, string | string[]>,
  call = 'proto_sallyport_setup vpn',
  env: Record<string, string> = {},
): { calls: string[]; stderr: string; router: Router; has: (line: string | RegExp) => boolean } {
  const router = new Router();
  t.teardown(() => router.close());
  const { calls, stderr } = router.run(netifdStubs({ node: router.path('bin/node'), ...options }), `${text}\n${call}`, env);
  return {
    calls,
    stderr,
    router,
    has: line => calls.some(made => (typeof line === 'string' ? made === line : line.test(made))),
  };
}

const good = { core_url: 'https://core.example:8443/x', addresses: ['10.77.0.1/24', 'fd77::1/64'] };

t.test('sets up: TUN, configuration, command, update', { skip }, async t => {
  const { calls, has, router, stderr } = handle(t, {
    ...good,
    name: "Ada's gate",
    listen_port: '51821',
    ranges: ['10.77.0.0/16', 'fd77::/48'],
  });
  t.equal(stderr, '');
  const dir = router.path('run/vpn');
  t.ok(has('ip tuntap add dev vpn mode tun user sallyport group sallyport'));
  t.ok(has('ip link set dev vpn mtu 1420 up'));
  t.ok(has('proto_add_host_dependency vpn 192.0.2.7'), 'Core is not reached through the tunnel');
  t.ok(
    has(
      `proto_run_command vpn ${router.path('bin/node')} --max-old-space-size=64 /usr/lib/sallyport/agent.mjs agent --uci ${dir}/config --section vpn --user sallyport`,
    ),
  );
  t.ok(has('proto_export SALLYPORT_CONFIGURE_LINK=0'));
  t.same(calls.slice(-4), [
    'proto_init_update vpn 1',
    'proto_add_ipv4_address 10.77.0.1 24',
    'proto_add_ipv6_address fd77::1 64',
    'proto_send_update vpn',
  ]);
  t.equal(statSync(join(dir, 'config')).mode & 0o777, 0o600);
  const config = loadConfig({ args: ['--uci', join(dir, 'config'), '--section', 'vpn'], environment: {} });
  t.match(config, { ifname: 'vpn', name: "Ada's gate", listen_port: 51821, core_url: 'https://core.example:8443/x' });
  t.equal(config.ranges.length, 2);
});

t.test('what is missing is told to netifd, which then stops trying', { skip }, async t => {
  for (const [options, code] of [
    [{ addresses: good.addresses }, 'NO_CORE_URL'],
    [{ core_url: good.core_url }, 'NO_ADDRESS'],
    [{ ...good, node: '/nowhere/node' }, 'NO_NODE'],
  ] as const) {
    const { has, calls } = handle(t, options);
    t.ok(has(`proto_notify_error vpn ${code}`), code);
    t.ok(has('proto_block_restart vpn'));
    t.notOk(calls.some(call => call.startsWith('proto_run_command')));
  }
  const old = handle(t, good, 'proto_sallyport_setup vpn', { NODE_VERSION: 'v18.20.6' });
  t.ok(old.has('proto_notify_error vpn OLD_NODE'));
  const new26 = handle(t, good, 'proto_sallyport_setup vpn', { NODE_VERSION: 'v26.10.0' });
  t.ok(new26.has(/^proto_run_command .*--experimental-ffi/));
});

t.test('hosts of URLs', { skip }, async t => {
  for (const [url, host] of [
    ['https://core.example:8443/x', 'core.example'],
    ['https://core.example', 'core.example'],
    ['https://[2001:db8::1]:8443', '2001:db8::1'],
    ['https://192.0.2.1:1', '192.0.2.1'],
  ] as const)
    t.equal(handle(t, {}, `host_of '${url}' >> "$LOG"`).calls[0], host, url);
});

t.test('teardown', { skip }, async t => {
  const { has, router, calls } = handle(t, good, 'proto_sallyport_setup vpn; proto_sallyport_teardown vpn');
  t.ok(has('proto_kill_command vpn'));
  t.ok(has('ip link delete dev vpn'));
  t.notOk(existsSync(router.path('run/vpn')));
  t.notOk(calls.includes('proto_block_restart vpn'));
  const bad = handle(t, good, 'ERROR=2; proto_sallyport_teardown vpn');
  t.ok(bad.has('proto_block_restart vpn'), 'a configuration nobody can run');
});

t.test('options are declared, and are those of the one schema', { skip }, async t => {
  const { calls, stderr } = handle(t, {}, 'proto_sallyport_init_config; echo "$no_device $available" >> "$LOG"');
  t.equal(stderr, '');
  t.equal(calls.at(-1), '1 1');
  const declared = calls.slice(0, -1).map(call => call.split(' ')[1]!.replace(/:.*/, ''));
  for (const name of declared)
    t.ok(Object.hasOwn(agentOptions, name) || ['join_token_file', 'node', 'memory'].includes(name), name);
  for (const list of ['PLAIN_OPTIONS', 'LIST_OPTIONS'])
    for (const name of new RegExp(`^${list}="(.*)"`, 'm').exec(text)![1]!.split(' '))
      t.ok(declared.includes(name), `${name} is passed on and declared`);
});
