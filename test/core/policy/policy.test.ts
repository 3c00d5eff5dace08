import t from 'tap';
import { check } from '../../../src/control/validate.ts';
import {
  agentConfig,
  defaultPolicy,
  gatewayAddresses,
  hostAddresses,
  hostRange,
  locationSettings,
  mayUse,
  policyOf,
  settingsProblem,
  stepsOf,
} from '../../../src/core/policy/policy.ts';

const network = '10.77.0.0/24';

t.test('defaults', async t => {
  t.same(policyOf({ network }), defaultPolicy);
  t.equal(defaultPolicy.staleAfter, 180);
  t.same(stepsOf({ network }), [['totp', 'recovery']]);
});

t.test('the floor of staleAfter holds, but for demonstrations', async t => {
  t.notOk(check(locationSettings, { network, policy: { staleAfter: 179 } }).ok);
  t.ok(check(locationSettings, { network, policy: { staleAfter: 180 } }).ok);
  const demo = check(locationSettings, { network, policy: { dangerouslyShortStaleAfter: 10 } });
  t.ok(demo.ok);
  t.equal(policyOf({ network, policy: { dangerouslyShortStaleAfter: 10 } }).staleAfter, 10);
});

t.test('groups', async t => {
  t.ok(mayUse({ network }, []));
  t.ok(mayUse({ network, groups: ['dev', 'ops'] }, ['ops']));
  t.notOk(mayUse({ network, groups: ['dev'] }, ['ops']));
});

t.test('addresses', async t => {
  t.same(gatewayAddresses({ network }), ['10.77.0.1/24']);
  t.same(hostAddresses({ network }, 2), ['10.77.0.2/32']);
  t.same(hostRange({ network }), { first: 2, last: 254 });
  t.same(hostRange({ network: '10.0.0.0/8' }), { first: 2, last: 65_534 });
  t.same(hostRange({ network: 'fd00::/64' }), { first: 2, last: 65_535 });
  t.same(hostAddresses({ network: 'fd00::/64' }, 300), ['fd00::12c/128']);
  const both = { network, network6: 'fd66::/64' };
  t.same(gatewayAddresses(both), ['10.77.0.1/24', 'fd66::1/64']);
  t.same(hostAddresses(both, 254), ['10.77.0.254/32', 'fd66::fe/128']);
});

t.test('problems are named', async t => {
  t.equal(settingsProblem({ network }), null);
  t.match(settingsProblem({ network: '10.77.0.0/31' }), /no room/);
  t.match(settingsProblem({ network: '10.77.0.9/24' }), /did you mean 10\.77\.0\.0\/24/);
  t.equal(settingsProblem({ network, network6: 'fd66::/64' }), null);
  t.equal(settingsProblem({ network: '10.77.0.0/16', network6: 'fd66::/112' }), null);
  t.match(settingsProblem({ network, network6: 'fd66::1/64' }), /did you mean fd66::\/64/);
  t.match(settingsProblem({ network, network6: '10.78.0.0/24' }), /expected an IPv6 prefix beside/);
  t.match(settingsProblem({ network: 'fd67::/64', network6: 'fd66::/64' }), /expected an IPv6 prefix beside/);
  t.match(settingsProblem({ network: '10.77.0.0/16', network6: 'fd66::/120' }), /less room/);
});

t.test('what agents are told of their location', async t => {
  const told = (settings: Parameters<typeof policyOf>[0]): unknown =>
    agentConfig({ id: 'l1', name: 'office', settings });
  t.strictSame(told({ network }), {
    location: 'l1',
    name: 'office',
    addresses: ['10.77.0.1/24'],
    mtu: 1420,
    keepalive: 25,
  });
  t.match(told({ network, mtu: 1280, keepalive: 0 }), { mtu: 1280, keepalive: 0 });
});
