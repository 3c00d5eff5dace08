import { EventEmitter } from 'node:events';
import { MessageChannel } from 'node:worker_threads';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { DataplaneClient } from '../../../src/agent/dataplane/client.ts';
import type { WorkerEvent } from '../../../src/agent/dataplane/commands.ts';

/** A worker that the test plays: what it was asked, and a port to answer by. */
function open(t: Test) {
  const { port1, port2 } = new MessageChannel();
  const worker = Object.assign(new EventEmitter(), {
    terminated: 0,
    terminate() {
      worker.terminated++;
      worker.emit('exit', 1);
      return Promise.resolve(1);
    },
  });
  let wakes = 0;
  const ready = { ifname: 'wg0', ffi: 'fake', crypto: 'fake', vnetHeader: true };
  const link = new DataplaneClient(worker as unknown as Worker, port1, () => void wakes++, ready);
  const asked: { id: number; command: { op: string } }[] = [];
  port2.on('message', message => asked.push(message as (typeof asked)[number]));
  const next = async (count: number): Promise<void> => {
    while (asked.length < count) await new Promise(setImmediate);
  };
  t.teardown(() => {
    port1.close();
    port2.close();
  });
  return {
    link,
    worker,
    asked,
    next,
    answer: (message: object) => port2.postMessage(message),
    wakes: () => wakes,
  };
}

t.test(
  'each answer finds its question, in whatever order they come; the worker is woken for each',
  async t => {
    const { link, asked, next, answer, wakes } = open(t);
    const first = link.request({ op: 'up' });
    const second = link.request({ op: 'sessions' });
    await next(2);
    t.equal(wakes(), 2);
    t.match(
      asked.map(({ command }) => command.op),
      ['up', 'sessions'],
    );
    answer({ id: asked[1]!.id, result: [] });
    answer({ id: asked[0]!.id, result: { errno: 0 } });
    t.strictSame(await second, []);
    t.strictSame(await first, { errno: 0 });
    answer({ id: 99, result: 'nobody asked' });
    const third = link.request({ op: 'down' });
    await next(3);
    answer({ id: asked[2]!.id, error: { code: 'odd', message: 'cannot' } });
    await t.rejects(third, { code: 'odd', message: 'cannot' });
  },
);

t.test('events reach whoever listens, until they stop', async t => {
  const { link, worker, answer, asked, next } = open(t);
  const seen: WorkerEvent[] = [];
  const stop = link.onEvent(event => seen.push(event));
  answer({ ev: 'log', level: 'info', message: 'hello' });
  const settled = link.request({ op: 'up' });
  await next(1);
  answer({ id: asked[0]!.id, result: { errno: 0 } });
  await settled;
  t.match(seen, [{ ev: 'log', message: 'hello' }]);
  worker.emit('error', new Error('a bug'));
  t.match(seen[1], { ev: 'fatal', message: /a bug/ });
  stop();
  worker.emit('error', 'another');
  t.equal(seen.length, 2);
});

t.test('a worker that is gone answers nothing: questions fail, those under way too', async t => {
  const { link, worker, next } = open(t);
  const pending = link.request({ op: 'up' });
  await next(1);
  worker.emit('exit', 3);
  await t.rejects(pending, { code: 'dataplane-gone' });
  await t.rejects(link.request({ op: 'up' }), { code: 'dataplane-gone' });
  t.equal(await link.closed, 3);
  await link.stop();
  t.equal(worker.terminated, 0);
});

t.test('stop asks first, and waits for the end', async t => {
  const { link, worker, asked, next, answer } = open(t);
  const stopped = link.stop();
  await next(1);
  t.equal(asked[0]!.command.op, 'stop');
  answer({ id: asked[0]!.id, result: { errno: 0 } });
  worker.emit('exit', 0);
  await stopped;
  t.equal(worker.terminated, 0);
});

t.test('a worker that hangs is ended, whether or not it has said that it stops', async t => {
  const [mute, liar] = [open(t), open(t)];
  const stopped = [mute.link.stop(), liar.link.stop()];
  await liar.next(1);
  liar.answer({ id: liar.asked[0]!.id, result: { errno: 0 } });
  await Promise.all(stopped);
  t.strictSame([mute.worker.terminated, liar.worker.terminated], [1, 1]);
});
