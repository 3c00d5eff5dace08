import t from 'tap';
import type { ChannelHandlers } from '../../src/control/wire/channel.ts';
import type { RelayAnswer, RelayRequest } from '../../src/control/wire/relay.ts';
import { Uplink } from '../../src/proxy/uplink.ts';
import type { Asker, UplinkChannel } from '../../src/proxy/uplink.ts';

class Wire implements UplinkChannel {
  readonly sent: RelayRequest[] = [];
  isOpen = true;
  closedWith: number | null = null;
  handlers!: ChannelHandlers<RelayAnswer>;

  send(frame: RelayRequest): boolean {
    if (this.isOpen) this.sent.push(frame);
    return this.isOpen;
  }

  handle(handlers: ChannelHandlers<RelayAnswer>): void {
    this.handlers = handlers;
  }

  close(code: number): void {
    this.closedWith = code;
  }

  lose(): void {
    this.isOpen = false;
    this.handlers.closed(1006, '');
  }
}

function asker(): Asker & { said: string[] } {
  const said: string[] = [];
  return {
    said,
    response: (status, body) => said.push(`${status} ${body}`),
    stream: () => said.push('stream'),
    event: (event, data) => said.push(`${event} ${data}`),
    end: () => said.push('end'),
    failed: why => said.push(why),
  };
}

const request = { method: 'GET', path: '/x', source: 's', body: '' } as const;

t.test('numbers requests and hands answers to who asked', async t => {
  const uplink = new Uplink();
  t.teardown(() => uplink.close());
  const none = asker();
  uplink.ask(request, none);
  t.same(none.said, ['core-away']);
  const wire = new Wire();
  let lost = 0;
  uplink.attach(wire, () => lost++);
  t.ok(uplink.isConnected);
  const [a, b] = [asker(), asker()];
  uplink.ask(request, a);
  const goneB = uplink.ask(request, b);
  const [first, second] = wire.sent.map(frame => frame.n);
  wire.handlers.frame({ type: 'stream', n: second! });
  wire.handlers.frame({ type: 'event', n: second!, event: 'warn', data: '{}' });
  wire.handlers.frame({ type: 'response', n: first!, status: 200, body: 'ok' });
  wire.handlers.frame({ type: 'response', n: first!, status: 200, body: 'twice' });
  wire.handlers.frame({ type: 'response', n: 999, status: 200, body: 'nobody' });
  wire.handlers.frame({ type: 'pong', n: 1 });
  t.same(a.said, ['200 ok']);
  goneB();
  goneB();
  t.same(wire.sent.at(-1), { type: 'abort', n: second });
  t.equal(wire.sent.length, 3);
  wire.handlers.frame({ type: 'end', n: second! });
  t.same(b.said, ['stream', 'warn {}']);
  const c = asker();
  uplink.ask(request, c);
  wire.handlers.frame({ type: 'stream', n: wire.sent.at(-1)!.n });
  wire.lose();
  t.same(c.said, ['stream', 'core-away'], 'nobody waits for a Core that has gone');
  t.equal(lost, 1);
  t.notOk(uplink.isConnected);
});

t.test('a newer connection of Core takes over', async t => {
  const uplink = new Uplink();
  t.teardown(() => uplink.close());
  const [old, fresh] = [new Wire(), new Wire()];
  uplink.attach(old, () => {});
  const a = asker();
  uplink.ask(request, a);
  uplink.attach(fresh, () => {});
  t.equal(old.closedWith, 4002);
  fresh.handlers.frame({ type: 'response', n: old.sent[0]!.n, status: 200, body: 'forged' });
  t.same(a.said, [], 'an answer counts only where the question went');
  old.lose();
  t.same(a.said, ['core-away']);
  t.ok(uplink.isConnected);
  fresh.isOpen = false;
  const b = asker();
  uplink.ask(request, b);
  t.same(b.said, ['core-away']);
});
