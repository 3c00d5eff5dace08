import t from 'tap';
import type { BlobTable } from '../../../src/agent/ubus/blobmsg.ts';
import type { SessionEvent } from '../../../src/agent/dataplane/commands.ts';
import type { StatusReport } from '../../../src/agent/health/statusreport.ts';
import type { UbusOptions } from '../../../src/agent/ubus/connection.ts';
import { type BusGateway, BusObject } from '../../../src/agent/ubus/object.ts';
import { createLog } from '../../../src/control/log.ts';

const key = '01'.repeat(32);
const session = { id: 's1', user: 'ada', addresses: ['10.77.0.2/32'], device: 'AQEB' };
const report = {
  interface: 'wg0',
  core: { connected: true },
  sessions: [session],
  recentEnds: [{ id: 's0', device: 'AQEB', reason: 'stale', at: '2026-11-24T00:00:00.000Z' }],
} as unknown as StatusReport;
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve));

function stage(): {
  object: BusObject;
  say: (event: Partial<SessionEvent>) => Promise<void>;
  calls: string[];
  hotplug: Readonly<Record<string, string>>[];
  options: UbusOptions;
  current: { report: StatusReport };
  lines: string[];
} {
  const calls: string[] = [];
  const hotplug: Readonly<Record<string, string>>[] = [];
  const lines: string[] = [];
  const current = { report };
  let listener: (event: SessionEvent) => void = () => undefined;
  let options!: UbusOptions;
  const gateway: BusGateway = {
    report: async () => current.report,
    logout: async id => {
      calls.push(`logout ${id}`);
      return id === 's1';
    },
    reload: () => void calls.push('reload'),
    onSession: heard => {
      listener = heard;
      return () => calls.push('deaf');
    },
  };
  const object = new BusObject(gateway, createLog({ level: 'debug', write: line => lines.push(line) }), {
    open: given => {
      options = given;
      return {
        isRegistered: true,
        close: () => void calls.push('closed'),
        hotplug: async variables => {
          hotplug.push(variables);
          return 0;
        },
      };
    },
  });
  const say = async (event: Partial<SessionEvent>): Promise<void> => {
    listener({
      ev: 'session',
      id: 's1',
      device: key,
      counters: { rx: 5, tx: 6, handshakes: 1 },
      sinceHandshakeMs: 0,
      endpoint: null,
      ...event,
    } as SessionEvent);
    await turn();
  };
  return { object, say, calls, hotplug, options, current, lines };
}

t.test('methods', async t => {
  const { options, calls, object } = stage();
  const call = async (method: string, given: BlobTable = {}): Promise<BlobTable | undefined> =>
    options.methods[method]!.call(given);
  t.match(await call('status'), { interface: 'wg0', sessions: [session] });
  t.match(await call('sessions'), {
    sessions: [session],
    recentEnds: [{ reason: 'stale', text: 'the tunnel was silent for too long' }],
  });
  t.equal(await call('logout', { session: 's1' }), undefined);
  await t.rejects(call('logout', { session: 's2' }), { message: 'ubus status 4' });
  await t.rejects(call('logout', {}), { message: 'ubus status 2' });
  await call('reload');
  t.same(calls, ['logout s1', 'logout s2', 'reload']);
  object.close();
  t.same(calls.slice(3), ['deaf', 'closed']);
});

t.test('login and logout reach the hotplug scripts, with who and why', async t => {
  const { say, hotplug, current, object } = stage();
  t.teardown(() => object.close());
  await say({ kind: 'confirmed' });
  current.report = { ...report, sessions: [] };
  await say({ kind: 'roamed' });
  await say({ kind: 'ended', reason: 'stale' });
  t.match(hotplug, [
    {
      ACTION: 'peer-login',
      SESSION: 's1',
      USERNAME: 'ada',
      ADDRESSES: '10.77.0.2/32',
      INTERFACE: 'wg0',
      DEVICE: 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=',
    },
    {
      ACTION: 'peer-logout',
      USERNAME: 'ada',
      REASON: 'stale',
      REASON_TEXT: 'the tunnel was silent for too long',
      RX_BYTES: '5',
      TX_BYTES: '6',
    },
  ]);
  t.equal(hotplug.length, 2);
});

t.test('Core coming and going is told once', async t => {
  const { object, hotplug, current } = stage();
  t.teardown(() => object.close());
  await object.look();
  await object.look();
  current.report = { ...report, core: { ...report.core, connected: false } };
  await object.look();
  t.same(
    hotplug.map(({ ACTION }) => ACTION),
    ['core-up', 'core-down'],
  );
});

t.test('a refusal of the bus says what is missing', async t => {
  const { options, lines, object } = stage();
  t.teardown(() => object.close());
  options.onState!('refused', 6);
  options.onState!('registered');
  t.match(lines[0], /warn.*acl\.d\/sallyport\.json/);
});
