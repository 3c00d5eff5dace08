import t from 'tap';
import {
  helloTranscript,
  readAgentFrame,
  readCoreFrame,
  snapshotChunk,
  welcomeTranscript,
} from '../../../src/control/wire/agentchannel.ts';
import { frameMaxBytes } from '../../../src/control/wire/frame.ts';
import type { AgentFrame, CoreFrame } from '../../../src/control/wire/agentchannel.ts';
import { grantMaxBytes } from '../../../src/control/trust/grant.ts';

const key = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';
const signature = `${'A'.repeat(86)}==`;
const config = { location: 'loc_1', name: 'office', addresses: ['10.77.0.1/24'], mtu: 1420, keepalive: 25 };

const coreFrames: readonly CoreFrame[] = [
  { type: 'challenge', nonce: key, time: 1 },
  { type: 'welcome', time: 1, config, signature },
  { type: 'snapshot', grants: [{ grant: 'sp1.x', until: 0 }] },
  { type: 'snapshotEnd', seq: 1 },
  { type: 'grant', seq: 2, grant: 'sp1.x', until: 5 },
  { type: 'renew', seq: 3, id: 's_1', until: 6 },
  { type: 'revoke', seq: 4, id: 's_1', device: key, epoch: 7, reason: 'revoked-admin' },
  { type: 'config', seq: 5, config },
  { type: 'noted', id: 's_1' },
  { type: 'ping', n: 1, time: 2 },
];

const agentFrames: readonly AgentFrame[] = [
  { type: 'hello', agentId: 'a_1', bootId: 'b', version: '0.1', caps: ['x'], nonce: key, signature },
  { type: 'granted', id: 's_1' },
  { type: 'refused', id: 's_1', code: 'epoch' },
  { type: 'revoked', id: 's_1', device: key, epoch: 7 },
  { type: 'synced', seq: 1, grants: 0, refused: [{ id: 's_1', code: 'ended' }] },
  { type: 'resync', seq: 9 },
  { type: 'session', id: 's_1', event: 'ended', reason: 'stale', counters: { rx: 1, tx: 2, handshakes: 3 } },
  { type: 'stats', bootId: 'b', sessions: [{ id: 's_1', rx: 1, tx: 2, handshakes: 0, sinceHandshakeMs: 9 }] },
  { type: 'pong', n: 1 },
];

t.test('every frame survives the wire, unknown fields do not', async t => {
  const readers = [
    [readCoreFrame, coreFrames],
    [readAgentFrame, agentFrames],
  ] as const;
  for (const [read, frames] of readers)
    for (const frame of frames)
      t.same(read(JSON.stringify({ ...frame, extra: 1 })), { kind: 'frame', frame }, frame.type);
});

t.test('every field is needed, and checked', async t => {
  for (const frame of coreFrames) {
    for (const field of Object.keys(frame)) {
      if (field === 'type') continue;
      t.equal(
        readCoreFrame(JSON.stringify({ ...frame, [field]: undefined })).kind,
        'malformed',
        `${frame.type} ${field}`,
      );
      t.equal(readCoreFrame(JSON.stringify({ ...frame, [field]: {} })).kind, 'malformed');
    }
  }
});

t.test('a frame of the other direction is unknown', async t => {
  t.equal(readAgentFrame('{"type":"challenge"}').kind, 'unknown');
  t.equal(readCoreFrame('{"type":"hello"}').kind, 'unknown');
});

t.test('the largest frames fit', async t => {
  const grants = Array.from({ length: snapshotChunk }, () => ({ grant: 'x'.repeat(3500), until: 9e12 }));
  t.ok(JSON.stringify({ type: 'snapshot', grants }).length < frameMaxBytes);
  t.ok(grantMaxBytes < frameMaxBytes);
});

t.test('transcripts bind every field', async t => {
  const hello = { agentId: 'a', bootId: 'b', version: 'v', caps: ['c'], nonce: 'n' };
  const base = Buffer.from(helloTranscript('ch', hello)).toString();
  for (const field of Object.keys(hello))
    t.not(
      Buffer.from(helloTranscript('ch', { ...hello, [field]: field === 'caps' ? ['d'] : 'z' })).toString(),
      base,
    );
  t.not(Buffer.from(helloTranscript('other', hello)).toString(), base);
  t.not(
    Buffer.from(welcomeTranscript('n', 'a', 1)).toString(),
    Buffer.from(welcomeTranscript('n', 'a', 2)).toString(),
  );
});
