import t from 'tap';
import { type ReportInput, statusReport, statusText } from '../../../src/agent/health/statusreport.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';
import { plainPeer } from '../../fixtures/system/grant.ts';

async function input(change: Partial<ReportInput> = {}): Promise<ReportInput> {
  const link = new FakeLink();
  link.privateKey = new Uint8Array(32).fill(0x66);
  await link.request({ op: 'configure', change: { peers: [{ publicKey: new Uint8Array(32).fill(0x55) }] } });
  await link.request({ op: 'grant', grant: plainPeer() });
  return {
    state: link.state(),
    version: '1.2.3',
    agent: 'a_1',
    location: 'office',
    core: { url: 'https://core.example', phase: 'synced', connected: true, reconnects: 2, lastError: '' },
    clock: 'core',
    recentEnds: [{ id: 's_0', device: 'x', reason: 'stale', at: '2026-01-01T00:00:00.000Z' }],
    ...change,
  };
}

t.test('for programs', async t => {
  const report = statusReport(await input());
  t.match(report, {
    interface: 'fake0',
    up: true,
    listenPort: 0,
    mtu: 1420,
    crypto: 'fake',
    offloads: ['gso'],
    threads: 1,
  });
  t.equal(report.sessions.length, 1, 'a peer without session is none');
  t.match(report.sessions[0], {
    id: 's_1',
    user: 'anna',
    addresses: ['10.77.0.2/32'],
    endpoint: '192.0.2.7:1234',
    since: '2023-11-14T22:13:20.000Z',
    staleIn: 180,
    idleIn: null,
    leaseIn: null,
    expiresIn: 1000,
    claimIn: null,
  });
  t.notMatch(JSON.stringify(report), /MzMz|ZmZm/, 'no keys but public ones');
});

t.test('for people', async t => {
  t.equal(
    statusText(statusReport(await input())),
    `agent a_1, location office, version 1.2.3
interface fake0 up, port 0, mtu 1420, fake gso
core https://core.example: synced, reconnects 2
sessions 1
  s_1 user anna 10.77.0.2/32 from 192.0.2.7:1234
    in use, rx 2000, tx 1000, ends stale in 180s, expired in 1000s
ended 2026-01-01T00:00:00.000Z s_0: stale (the tunnel was silent for too long)
`,
  );
  const away = await input({
    core: { url: 'u', phase: 'away', connected: false, reconnects: 0, lastError: 'ECONNREFUSED' },
    clock: 'none',
    recentEnds: [],
  });
  t.match(statusText(statusReport(away)), /core u: away \(ECONNREFUSED\).*\nclock not sane: no new grants/);
  t.match(statusText(statusReport({ ...away, clock: 'system' })), /clock of the system/);
  t.match(statusText({ ...statusReport(away), threads: 2 }), /fake gso, 2 threads\n/);
  const { sessions, ...rest } = statusReport(await input());
  const waiting = { ...sessions[0]!, confirmed: false, endpoint: null, claimIn: 5, staleIn: null };
  t.match(
    statusText({ ...rest, up: false, sessions: [waiting] }),
    /down.*\n(.*\n)*.*from nowhere yet\n.*not used yet.*unclaimed in 5s/,
  );
});
