import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { blobType } from '../../../src/agent/ubus/blobmsg.ts';
import { Ubus, UbusRefusal, type UbusOptions } from '../../../src/agent/ubus/connection.ts';
import { FakeUbusd, frame, text, u32 } from '../../fixtures/ubusd.ts';

async function pair(
  t: Test,
  methods: UbusOptions['methods'],
): Promise<{ daemon: FakeUbusd; bus: Ubus; state: (wanted: string) => Promise<void> }> {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-ubus-'));
  const daemon = await FakeUbusd.listen(join(dir, 'sock'));
  const seen: string[] = [];
  let look = (): void => undefined;
  const state = (wanted: string): Promise<void> =>
    new Promise(resolve => {
      look = () => {
        if (seen.includes(wanted)) resolve();
      };
      look();
    });
  const bus = new Ubus({
    name: 'sallyport',
    methods,
    socketPath: join(dir, 'sock'),
    delay: () => 1,
    onState: now => {
      seen.push(now);
      look();
    },
  });
  t.teardown(async () => {
    bus.close();
    await daemon.close();
    rmSync(dir, { recursive: true });
  });
  return { daemon, bus, state };
}

const hex = (bytes: Buffer | undefined): string | undefined => bytes?.toString('hex');
const call = (method: string, data: Buffer = Buffer.alloc(0), ...more: [number, Buffer][]): Buffer =>
  frame(5, 9, 0xcafe, [[3, u32(0x77)], [4, text(method)], [7, data], ...more]);

t.test('registers its name and signature', async t => {
  const { daemon, state } = await pair(t, {
    logout: { parameters: { session: blobType.string }, call: () => undefined },
  });
  await state('registered');
  t.equal(daemon.registered!.path, 'sallyport');
  // table "logout" { int32 "session" = 3 }, by hand
  t.equal(
    hex(daemon.registered!.signature),
    '82000024' + '00066c6f676f757400000000' + '85000014' + '000773657373696f6e000000' + '00000003',
  );
});

t.test('answers a call with data and status', async t => {
  const { daemon, state } = await pair(t, { status: { parameters: {}, call: async () => ({ n: 1 }) } });
  await state('registered');
  daemon.send(call('status'));
  const data = await daemon.next();
  t.equal(data.type, 2);
  t.equal(data.seq, 9);
  t.equal(data.peer, 0xcafe);
  t.equal(hex(data.body.get(3)), '00000077');
  t.equal(hex(data.body.get(7)), '8500000c00016e0000000001');
  const status = await daemon.next();
  t.equal(status.type, 1);
  t.equal(hex(status.body.get(1)), '00000000');
  t.equal(hex(status.body.get(3)), '00000077');
});

t.test('refusals have their status', async t => {
  const { daemon, state } = await pair(t, {
    logout: {
      parameters: { session: blobType.string },
      call: () => {
        throw new UbusRefusal(4);
      },
    },
    broken: {
      parameters: {},
      call: () => {
        throw new Error('a bug of ours');
      },
    },
  });
  await state('registered');
  const statusOf = async (bytes: Buffer): Promise<string | undefined> => {
    daemon.send(bytes);
    return hex((await daemon.next()).body.get(1));
  };
  t.equal(await statusOf(call('nothing')), '00000003', 'no such method');
  t.equal(await statusOf(call('toString')), '00000003', 'nor what objects inherit');
  t.equal(await statusOf(call('logout')), '00000004', "the method's own");
  t.equal(await statusOf(call('broken')), '00000009', 'a bug');
  t.equal(await statusOf(call('logout', Buffer.from('83000003', 'hex'))), '00000002', 'broken data');
  const number = Buffer.from('8500001000077365' + '7373696f6e000000' + '00000001', 'hex');
  number.writeUInt32BE(0x85000014, 0);
  t.equal(await statusOf(call('logout', number)), '00000002', 'an argument of another type');
});

t.test('nothing is said to who wants no reply', async t => {
  let calls = 0;
  const { daemon, state } = await pair(t, { reload: { parameters: {}, call: () => void calls++ } });
  await state('registered');
  daemon.send(call('reload', Buffer.alloc(0), [10, Buffer.of(1)]));
  daemon.send(call('other'));
  const next = await daemon.next();
  t.equal(hex(next.body.get(1)), '00000003', 'the second call is the first to be answered');
  t.equal(calls, 1);
});

t.test('registers again when the daemon restarts', async t => {
  const { daemon, bus, state } = await pair(t, {});
  await state('registered');
  const before = daemon.connections;
  daemon.registered = null;
  daemon.cut();
  await state('lost');
  while (daemon.registered === null) await new Promise(resolve => setImmediate(resolve));
  t.ok(daemon.connections > before);
  while (!bus.isRegistered) await new Promise(resolve => setImmediate(resolve));
  t.ok(bus.isRegistered);
});

t.test('a daemon that refuses us is told apart', async t => {
  const { daemon, bus, state } = await pair(t, {});
  daemon.addStatus = 6;
  await state('refused');
  t.notOk(bus.isRegistered);
});

t.test('hotplug scripts are asked for through procd', async t => {
  const { daemon, bus, state } = await pair(t, {});
  await state('registered');
  t.equal(await bus.hotplug({ ACTION: 'core-up' }), 4, 'no such object');
  daemon.objects.set('hotplug.sallyport', 0x99);
  const asked = bus.hotplug({ ACTION: 'peer-login', USERNAME: 'a\nPATH=/evil' });
  const invoke = await daemon.next();
  t.equal(invoke.type, 5);
  t.equal(invoke.peer, 0x99);
  t.equal(invoke.body.get(4)!.toString(), 'call\0');
  const data = invoke.body.get(7)!.toString('latin1');
  t.match(data, 'ACTION=peer-login\0');
  t.match(data, 'USERNAME=a PATH=/evil\0');
  daemon.send(frame(1, invoke.seq, 0x99, [[1, u32(0)]]));
  t.equal(await asked, 0);
});

t.test('nonsense on the socket ends the connection, and calls under way', async t => {
  const { daemon, bus, state } = await pair(t, {});
  await state('registered');
  const asked = bus.invoke('hotplug.sallyport', 'call', {});
  daemon.send(Buffer.from('ff'.repeat(16), 'hex'));
  t.match(await asked, { data: null });
  await state('lost');
});
