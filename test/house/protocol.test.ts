// The examples of docs/protocol.md, read by the readers that the programs use; and what they claim to be signed, sealed or
// authenticated, verified with the keys that the page names.

import t from 'tap';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as bodies from '../../src/control/clientapi/bodies.ts';
import type {
  EnrolReply,
  Granted,
  SessionRequest,
  StartRequest,
} from '../../src/control/clientapi/bodies.ts';
import { endReasons } from '../../src/control/clientapi/reasons.ts';
import { errorBody, paths } from '../../src/control/clientapi/words.ts';
import { answerProof, enrolSecret, requestProof } from '../../src/control/trust/enrolment.ts';
import { grantRefusals, grantShape, transcriptOf, verifyGrant } from '../../src/control/trust/grant.ts';
import { ed25519PublicKey, verifyBytes, x25519PublicKey } from '../../src/control/trust/keys.ts';
import { grantedRequest, proofKey, verifyProof } from '../../src/control/trust/proof.ts';
import { loginDigest, open } from '../../src/control/trust/seal.ts';
import type { KemName, SealPurpose } from '../../src/control/trust/seal.ts';
import * as channel from '../../src/control/wire/agentchannel.ts';
import type { AgentFrame, CoreFrame } from '../../src/control/wire/agentchannel.ts';
import { CloseCode } from '../../src/control/wire/channel.ts';
import type { FrameReader } from '../../src/control/wire/frame.ts';
import { readRelayAnswer, readRelayRequest } from '../../src/control/wire/relay.ts';
import type { RelayAnswer, RelayRequest } from '../../src/control/wire/relay.ts';
import { bytesOf, read } from '../../src/control/validate.ts';
import type { Shape } from '../../src/control/validate.ts';
import { equalBytes, fromHex, toBase64 } from '../../src/util/bytes.ts';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** Blocks by what stands behind ```json: whole objects, or one frame per line. */
const blocks = [...page.matchAll(/^```(?:json|text) ([^\n]+)\n([^]*?)^```$/gm)].map(([, tag, text]) => {
  const whole = text!.startsWith('{\n') || !text!.startsWith('{');
  return { tag: tag!, texts: whole ? [text!] : text!.trim().split('\n') };
});
const textsOf = (tag: string): string[] =>
  blocks.filter(block => block.tag === tag).flatMap(block => block.texts);
function one<T>(tag: string): T {
  const texts = textsOf(tag);
  if (texts.length !== 1) throw new Error(`${texts.length} blocks of ${tag}`);
  return JSON.parse(texts[0]!) as T;
}
const secret = (name: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(`sallyport example ${name}`).digest());

const shapes: Readonly<Record<string, Shape<unknown>>> = {
  'grant-payload': grantShape,
  'agent-enrol-request': channel.agentEnrolRequest,
  'agent-enrol-answer': channel.agentEnrolAnswer,
  'enrol-request': bodies.enrolRequest,
  'enrol-reply': bodies.enrolReply,
  'start-request': bodies.startRequest,
  'start-answer': bodies.startAnswer,
  'step-request': bodies.stepRequest,
  'step-answer': bodies.stepAnswer,
  'session-request extend': bodies.sessionRequest,
  'session-request logout': bodies.sessionRequest,
  'extend-answer': bodies.extendAnswer,
  'logout-answer': bodies.logoutAnswer,
  'session-event': bodies.sessionEvent,
  error: errorBody,
};

// A type that is missing here does not compile; one that has no example fails below.
const coreTypes: Record<CoreFrame['type'], true> = {
  challenge: true,
  welcome: true,
  forgotten: true,
  snapshot: true,
  snapshotEnd: true,
  grant: true,
  renew: true,
  revoke: true,
  config: true,
  noted: true,
  ping: true,
};
const agentTypes: Record<AgentFrame['type'], true> = {
  hello: true,
  granted: true,
  refused: true,
  revoked: true,
  synced: true,
  resync: true,
  session: true,
  stats: true,
  pong: true,
};
const requestTypes: Record<RelayRequest['type'], true> = { request: true, abort: true, ping: true };
const answerTypes: Record<RelayAnswer['type'], true> = {
  response: true,
  stream: true,
  event: true,
  end: true,
  pong: true,
};
const frames: readonly [tag: string, FrameReader<{ type: string }>, types: object][] = [
  ['core-frame', channel.readCoreFrame, coreTypes],
  ['agent-frame', channel.readAgentFrame, agentTypes],
  ['relay-request', readRelayRequest, requestTypes],
  ['relay-answer', readRelayAnswer, answerTypes],
];

t.test('every example is of its shape, and says nothing that the reader would drop', async t => {
  for (const [tag, shape] of Object.entries(shapes)) {
    t.ok(textsOf(tag).length > 0, tag);
    for (const text of textsOf(tag)) {
      const result = read(shape, text);
      t.ok(result.ok, `${tag}: ${result.ok ? '' : result.error}`);
      if (result.ok) t.strictSame(result.value, JSON.parse(text), `${tag}: no unknown field`);
    }
  }
  for (const [tag, reader, types] of frames) {
    const seen = new Set<string>();
    for (const text of textsOf(tag)) {
      const result = reader(text);
      t.equal(result.kind, 'frame', text.slice(0, 60));
      if (result.kind !== 'frame') continue;
      t.strictSame(result.frame, JSON.parse(text), `${tag}: no unknown field`);
      seen.add(result.frame.type);
    }
    t.strictSame([...seen].sort(), Object.keys(types).sort(), `${tag}: one of each`);
  }
  const known = new Set([...Object.keys(shapes), ...frames.map(([tag]) => tag), 'grant']);
  t.strictSame(
    blocks.map(block => block.tag).filter(tag => !known.has(tag)),
    [],
    'every block has a reader',
  );
});

t.test('the grant', async t => {
  const text = textsOf('grant')[0]!.trim();
  const verdict = verifyGrant(text, {
    coreKeys: [ed25519PublicKey(secret('core'))],
    audiences: ['a_19', 'loc_7b'],
    wallMs: 1_790_000_000_500,
    held: () => undefined,
    peers: 0,
    policy: { maxLifeMs: 86_400_000, minStale: 180, ranges: [], maxPeers: 10 },
  });
  t.ok(verdict.ok);
  if (!verdict.ok) return;
  t.strictSame(verdict.grant, one('grant-payload'));
  t.ok(
    textsOf('core-frame').some(frame => frame.includes(text)),
    'the frame carries the same',
  );
  const kem = { kem: 'x25519' as const, privateKey: secret('agent kem') };
  const psk = open(kem, 'agent', transcriptOf(verdict.grant), verdict.grant.psk, { allowX25519: true });
  t.ok(equalBytes(psk!, secret('psk')));
});

t.test('hello and welcome', async t => {
  const core = textsOf('core-frame').map(text => JSON.parse(text) as CoreFrame);
  const agent = textsOf('agent-frame').map(text => JSON.parse(text) as AgentFrame);
  const hello = agent.find(frame => frame.type === 'hello')!;
  const challenge = core.find(frame => frame.type === 'challenge')!;
  const welcome = core.find(frame => frame.type === 'welcome')!;
  const signed = channel.helloTranscript(challenge.nonce, hello);
  t.ok(verifyBytes(ed25519PublicKey(secret('agent sign')), signed, bytesOf(hello.signature)));
  const answered = channel.welcomeTranscript(hello.nonce, hello.agentId, welcome.time);
  t.ok(verifyBytes(ed25519PublicKey(secret('core')), answered, bytesOf(welcome.signature)));
  const forgotten = core.find(frame => frame.type === 'forgotten')!;
  const removed = channel.forgottenTranscript(hello.nonce, hello.agentId, forgotten.time);
  t.ok(verifyBytes(ed25519PublicKey(secret('core')), removed, bytesOf(forgotten.signature)));
});

t.test('enrolment and login', async t => {
  const { ticket, key } = enrolSecret(/`(spe_[\w-]{32})`/.exec(page)![1]!);
  const request = one<bodies.EnrolRequest>('enrol-request');
  t.equal(request.ticket, ticket);
  t.equal(request.proof, requestProof(key, request));
  const reply = one<EnrolReply>('enrol-reply');
  t.equal(reply.proof, answerProof(key, request.devicePublicKey, reply.enrolled));

  const proofs = proofKey(secret('device'), x25519PublicKey(secret('location proof')))!;
  const start = one<StartRequest>('start-request');
  const details = [start.kemPublicKey, ...(start.methods ?? [])];
  t.ok(verifyProof(proofs, 'start', { ...start, details }, start.proof));
  for (const purpose of ['extend', 'logout'] as const) {
    const body = one<SessionRequest>(`session-request ${purpose}`);
    t.ok(verifyProof(proofs, purpose, { ...body, details: [body.session] }, body.proof), purpose);
  }
  const answers = textsOf('step-answer').map(text => JSON.parse(text) as bodies.StepAnswer);
  const granted = answers.find((answer): answer is Granted => 'granted' in answer)!;
  const { login } = JSON.parse(textsOf('start-answer')[0]!) as { login: string };
  const digest = loginDigest(start.nonce, login);
  t.equal(granted.login, digest);
  t.ok(verifyProof(proofs, 'granted', grantedRequest(start.device, digest, granted), granted.proof));
  const transcript = {
    grant: granted.session.id,
    device: start.device,
    location: start.location,
    login: digest,
  };
  const kem = { kem: 'x25519' as const, privateKey: secret('client kem') };
  t.ok(equalBytes(open(kem, 'client', transcript, granted.granted, { allowX25519: true })!, secret('psk')));
});

t.test('the seals of test/vectors/protocol.json, X-Wing among them', async t => {
  const vectors = JSON.parse(readFileSync(new URL('../vectors/protocol.json', import.meta.url), 'utf8')) as {
    transcript: ReturnType<typeof transcriptOf>;
    seals: { kem: KemName; purpose: SealPurpose; privateKey: string; sealed: string }[];
  };
  t.strictSame(
    vectors.seals.map(each => each.kem),
    ['xwing', 'x25519', 'x25519'],
  );
  for (const { kem, purpose, privateKey, sealed } of vectors.seals) {
    const psk = open({ kem, privateKey: fromHex(privateKey)! }, purpose, vectors.transcript, sealed, {
      allowX25519: true,
    });
    t.strictSame(psk && toBase64(psk), toBase64(secret('psk')), `${kem} ${purpose}`);
  }
});

t.test('lists of words are complete', async t => {
  const lacks = (words: readonly (string | number)[]): (string | number)[] =>
    words.filter(word => !new RegExp(`(\`|\\| |, )${word}(\`|,| \\|)|\`[A-Z]+ ${word}\``).test(page));
  t.strictSame(lacks(grantRefusals), [], 'refusals of a grant');
  t.strictSame(lacks(endReasons), [], 'end reasons');
  t.strictSame(lacks(Object.values(CloseCode)), [], 'close codes');
  t.strictSame(
    Object.values(paths).filter(path => !page.includes(path)),
    [],
    'paths',
  );
  for (const name of ['core', 'agent sign'])
    t.ok(page.includes(`| \`${toBase64(ed25519PublicKey(secret(name)))}\` |`), name);
  for (const name of ['agent wireguard', 'device', 'location proof'])
    t.ok(page.includes(`| \`${toBase64(x25519PublicKey(secret(name)))}\` |`), name);
});
