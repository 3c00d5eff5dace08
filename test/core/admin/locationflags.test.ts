import t from 'tap';
import { locationFlags, settingsFrom } from '../../../src/core/admin/locationflags.ts';
import type { LocationSettings } from '../../../src/core/policy/policy.ts';
import { readWords } from '../../../src/core/admin/words.ts';

const from = (args: string[], before?: LocationSettings): LocationSettings =>
  settingsFrom(readWords('location add', args, [], locationFlags), before);

t.test('every option has its place', async t => {
  t.same(from(['--network=10.0.0.0/24']), { network: '10.0.0.0/24' });
  const all = [
    '--network=10.0.0.0/24',
    '--network6=fd00::/64',
    '--endpoint=g:1',
    '--allowed-ips=10.0.0.0/8,fd00::/8',
    '--dns=10.0.0.1',
    '--mtu=1380',
  ];
  all.push(
    '--keepalive=20',
    '--groups=dev,ops',
    '--steps=totp,recovery/recovery',
    '--allow-x25519',
    '--stale-after=200',
  );
  all.push(
    '--idle-after=600',
    '--max-life=3600',
    '--lease=300',
    '--claim-within=30',
    '--offline-grace=60',
    '--on-roam=reauth',
  );
  all.push('--ack=all', '--demo-stale-after=10');
  t.same(from(all), {
    network: '10.0.0.0/24',
    network6: 'fd00::/64',
    endpoint: 'g:1',
    allowedIps: ['10.0.0.0/8', 'fd00::/8'],
    dns: ['10.0.0.1'],
    mtu: 1380,
    keepalive: 20,
    groups: ['dev', 'ops'],
    steps: [['totp', 'recovery'], ['recovery']],
    allowX25519: true,
    policy: {
      staleAfter: 200,
      idleAfter: 600,
      maxLife: 3600,
      lease: 300,
      claimWithin: 30,
      offlineGrace: 60,
      onRoam: 'reauth',
      ack: 'all',
      dangerouslyShortStaleAfter: 10,
    },
  });
  t.equal(all.length, Object.keys(locationFlags).length);
});

t.test('a change keeps the rest', async t => {
  const before: LocationSettings = { network: '10.0.0.0/24', mtu: 1300, policy: { lease: 60 } };
  t.same(from(['--idle-after=5'], before), { ...before, policy: { lease: 60, idleAfter: 5 } });
  t.throws(() => from([]), { exit: 2, message: /--network/ });
});

t.test('what was set can be taken back', async t => {
  const before: LocationSettings = {
    network: '10.0.0.0/24',
    network6: 'fd00::/64',
    endpoint: 'g:1',
    dns: ['10.0.0.1'],
    mtu: 1300,
    allowX25519: true,
    policy: { lease: 60 },
  };
  const cleared = ['--network6=', '--endpoint', '', '--dns=', '--mtu=', '--lease=', '--allow-x25519=false'];
  t.same(from(cleared, before), { network: '10.0.0.0/24', allowX25519: false });
  t.throws(() => from(['--network='], before), { code: 'no-network' });
  t.throws(() => from(['--allow-x25519=maybe'], before), { code: 'option-value' });
});
