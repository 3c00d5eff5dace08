import t from 'tap';
import { frameMaxBytes } from '../../../src/control/wire/frame.ts';
import { readRelayAnswer, readRelayRequest, relayAnswerMaxBytes } from '../../../src/control/wire/relay.ts';
import type { RelayAnswer, RelayRequest } from '../../../src/control/wire/relay.ts';

const relayRequests: readonly RelayRequest[] = [
  { type: 'request', n: 1, method: 'POST', path: '/x', source: '192.0.2.1', body: '{}' },
  { type: 'abort', n: 1 },
  { type: 'ping', n: 1 },
];

const relayAnswers: readonly RelayAnswer[] = [
  { type: 'response', n: 1, status: 200, body: '{}' },
  { type: 'stream', n: 1 },
  { type: 'event', n: 1, event: 'state', data: '{}' },
  { type: 'end', n: 1 },
  { type: 'pong', n: 1 },
];

t.test('every frame survives the wire, unknown fields do not', async t => {
  for (const frame of relayRequests)
    t.same(readRelayRequest(JSON.stringify({ ...frame, extra: 1 })), { kind: 'frame', frame }, frame.type);
  for (const frame of relayAnswers)
    t.same(readRelayAnswer(JSON.stringify({ ...frame, extra: 1 })), { kind: 'frame', frame }, frame.type);
});

t.test('the largest answer fits into a frame, quotes and all', async t => {
  t.ok(relayAnswerMaxBytes * 1.5 < frameMaxBytes);
});
