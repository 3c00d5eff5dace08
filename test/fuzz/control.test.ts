// Everything of the control plane that reads what others wrote, fed rubbish, mutated and truncated good input. Invariant: a
// value or a refusal, never a throw; and what is refused once is refused again. SEED=n tries another run.

import t from 'tap';
import { parse } from 'smol-toml';
import { signGrant, verifyGrant } from '../../src/control/trust/grant.ts';
import type { Grant } from '../../src/control/trust/grant.ts';
import { generateSignKeyPair, sharedSecret, verifyBytes } from '../../src/control/trust/keys.ts';
import {
  agentEnrolAnswer,
  agentEnrolRequest,
  readAgentFrame,
  readCoreFrame,
} from '../../src/control/wire/agentchannel.ts';
import {
  enrolReply,
  enrolRequest,
  sessionEvent,
  sessionRequest,
  startAnswer,
  startRequest,
  stepAnswer,
  stepRequest,
} from '../../src/control/clientapi/bodies.ts';
import { readRelayAnswer, readRelayRequest } from '../../src/control/wire/relay.ts';
import { endpointText, enrolToken, errorBody } from '../../src/control/clientapi/words.ts';
import { formatPrefix, parsePrefixOrAddress, sourceNetwork } from '../../src/util/inet.ts';
import { verifyProof } from '../../src/control/trust/proof.ts';
import { generateKemKeyPair, open, seal } from '../../src/control/trust/seal.ts';
import { check, read } from '../../src/control/validate.ts';
import type { Shape } from '../../src/control/validate.ts';
import { apply } from '../../src/core/admin/apply.ts';
import { hashRecoveryCode } from '../../src/core/methods/recovery.ts';
import { matchTotp } from '../../src/core/methods/totp.ts';
import { locationSettings } from '../../src/core/policy/policy.ts';
import { Desk } from '../fixtures/fakes/memorystore.ts';
import { plainGrant, zeroKey } from '../fixtures/system/grant.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';
import type { Rng } from '../fixtures/rng.ts';
import { PlainError } from '../../src/util/errors.ts';

const seed = seedOf(20_231);
const key = zeroKey;
const signature = `${'A'.repeat(86)}==`;
const now = 1_700_000_000_000;

const good: readonly unknown[] = [
  { type: 'challenge', nonce: key, time: 1 },
  {
    type: 'welcome',
    time: 1,
    config: { location: 'l', name: 'n', addresses: ['10.0.0.1/24'], mtu: 1420, keepalive: 25 },
    signature,
  },
  { type: 'snapshot', grants: [{ grant: 'sp1.x', until: 0 }] },
  { type: 'revoke', seq: 4, id: 's_1', device: key, epoch: 7, reason: 'stale' },
  { type: 'hello', agentId: 'a', bootId: 'b', version: '1', caps: ['x'], nonce: key, signature },
  {
    type: 'session',
    id: 's',
    event: 'ended',
    reason: 'idle',
    counters: { rx: 1, tx: 2, handshakes: 3 },
    endpoint: 'x',
  },
  { type: 'stats', bootId: 'b', sessions: [{ id: 's', rx: 1, tx: 1, handshakes: 1, sinceHandshakeMs: 1 }] },
  { type: 'request', n: 1, method: 'POST', path: '/x', source: 's', authorization: 'x', body: '{}' },
  { type: 'response', n: 1, status: 200, body: '{}' },
  { ticket: key, devicePublicKey: key, name: 'laptop', proof: key },
  {
    location: 'l',
    device: key,
    methods: ['totp'],
    kemPublicKey: `x25519.${'A'.repeat(43)}`,
    time: 1,
    nonce: key,
    proof: key,
  },
  { login: 'l_1', method: 'totp', response: '123456' },
  { step: { methods: ['totp'], index: 1, of: 1 } },
  { event: 'warn', secondsLeft: 5 },
  { error: { code: 'x', message: 'y', retryAfter: 1 } },
  { network: '10.0.0.0/24', policy: { staleAfter: 180 }, steps: [['totp']] },
];

const oddities: readonly unknown[] = [
  null,
  true,
  -1,
  Number.POSITIVE_INFINITY,
  0.1,
  '',
  '\u0000',
  '\ud800',
  [],
  {},
  [[[[]]]],
  '__proto__',
  2 ** 53,
  'x'.repeat(9000),
];

/** Good input with a few values replaced, fields dropped, added or doubled. */
function mutated(rng: Rng, value: unknown): unknown {
  if (rng.chance(0.08)) return rng.pick(oddities);
  if (Array.isArray(value)) {
    const copy = value.map(entry => mutated(rng, entry));
    return rng.chance(0.05) ? [...copy, ...copy, rng.pick(oddities)] : copy;
  }
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(value)) if (!rng.chance(0.05)) copy[name] = mutated(rng, entry);
  if (rng.chance(0.05)) copy[rng.pick(['constructor', 'toString', 'x', ''])] = rng.pick(oddities);
  return copy;
}

function garbled(rng: Rng, text: string): string {
  const letters = [...text];
  for (let n = rng.below(4); n > 0 && letters.length > 0; n--) {
    const at = rng.below(letters.length);
    const how = rng.below(3);
    if (how === 0) letters[at] = String.fromCharCode(rng.below(0x300));
    else if (how === 1) letters.splice(at, 1);
    else letters.splice(at, 0, letters[rng.below(letters.length)]!);
  }
  return rng.chance(0.1) ? letters.slice(0, rng.below(letters.length + 1)).join('') : letters.join('');
}

/** FUZZ_RUNS goes on for longer. */
const runs = Number(process.env['FUZZ_RUNS'] ?? 5000);

const frameReaders = [readCoreFrame, readAgentFrame, readRelayRequest, readRelayAnswer];
const shapes: readonly Shape<unknown>[] = [
  agentEnrolAnswer,
  agentEnrolRequest,
  enrolReply,
  enrolRequest,
  errorBody,
  sessionEvent,
  sessionRequest,
  startAnswer,
  startRequest,
  stepAnswer,
  stepRequest,
  locationSettings,
];

t.test(`frames and bodies (seed ${seed})`, async t => {
  const rng = seeded(seed);
  let accepted = 0;
  for (let i = 0; i < runs; i++) {
    const value = mutated(rng, rng.pick(good));
    const text = rng.chance(0.2) ? garbled(rng, JSON.stringify(value) ?? '') : (JSON.stringify(value) ?? '');
    for (const readFrame of frameReaders) {
      const result = readFrame(text);
      if (result.kind !== 'frame') continue;
      accepted++;
      const again = readFrame(JSON.stringify(result.frame));
      if (again.kind !== 'frame' || JSON.stringify(again.frame) !== JSON.stringify(result.frame))
        t.fail(text);
    }
    for (const shape of shapes) {
      const result = read(shape, text);
      if (!result.ok && !/^[\x20-\x7e…]{1,200}$/.test(result.error)) t.fail(`message: ${result.error}`);
    }
  }
  t.ok(accepted > 200, `${accepted} accepted`);
});

t.test(`deep, long and strange JSON (seed ${seed})`, async t => {
  for (const text of [
    '['.repeat(60_000),
    `${'{"type":'.repeat(7000)}1`,
    `{"type":"${'x'.repeat(60_000)}"}`,
    '"type"',
    '\ufeff{}',
  ])
    for (const readFrame of frameReaders) t.not(readFrame(text).kind, 'frame');
});

t.test(`grants (seed ${seed})`, async t => {
  const rng = seeded(seed + 1);
  const core = generateSignKeyPair();
  const grant = plainGrant(now, { exp: now + 1000, lease: 0 });
  const context = {
    coreKeys: [core.publicKey],
    audiences: ['a_1'],
    wallMs: now,
    held: () => undefined,
    peers: 0,
    policy: { maxLifeMs: 1e9, minStale: 180, ranges: [], maxPeers: 5 },
  };
  const text = signGrant(core.privateKey, grant);
  t.ok(verifyGrant(text, context).ok);
  for (let i = 0; i < 500; i++) {
    const bad = garbled(rng, text);
    if (verifyGrant(bad, context).ok !== (bad === text)) t.fail(bad);
  }
  // Signed rubbish: a Core gone mad must not crash the gateway either.
  for (let i = 0; i < 500; i++) {
    const odd = signGrant(core.privateKey, mutated(rng, grant) as Grant);
    const verdict = verifyGrant(odd, context);
    if (verdict.ok && verdict.grant.stale < 180) t.fail(odd);
  }
});

t.test(`keys, proofs and seals (seed ${seed})`, async t => {
  const rng = seeded(seed + 2);
  const reader = generateKemKeyPair('x25519');
  const transcript = { grant: 'g', device: key, location: 'l', login: key };
  const sealed = seal(reader.publicKey, 'agent', transcript, rng.bytes(32), { allowX25519: true })!;
  for (let i = 0; i < 150; i++) {
    const bad = garbled(rng, sealed);
    const opened = open(reader, 'agent', transcript, bad, { allowX25519: true });
    if ((opened !== null) !== (bad === sealed)) t.fail(bad);
    seal(garbled(rng, reader.publicKey), 'agent', transcript, rng.bytes(32), { allowX25519: true });
    verifyBytes(rng.bytes(rng.below(40)), rng.bytes(8), rng.bytes(rng.below(70)));
    sharedSecret(rng.bytes(32), rng.bytes(rng.below(40)));
    const request = { location: 'l', device: key, time: 1, nonce: 'n', details: [] };
    if (verifyProof(rng.bytes(32), 'start', request, garbled(rng, key))) t.fail('a proof out of nothing');
  }
  t.pass('no throw');
});

t.test(`addresses, tokens, codes (seed ${seed})`, async t => {
  const rng = seeded(seed + 3);
  const texts = [
    '10.77.0.2/32',
    'fd00::1:2/64',
    '::ffff:1.2.3.4',
    'gate.example:51820',
    '[::1]:7',
    `spe_${'a'.repeat(32)}`,
    '123 456',
    'abcd-efgh-jkmn',
  ];
  for (let i = 0; i < runs; i++) {
    const text = garbled(rng, rng.pick(texts));
    const prefix = parsePrefixOrAddress(text);
    if (
      prefix !== null &&
      JSON.stringify(parsePrefixOrAddress(formatPrefix(prefix))) !== JSON.stringify(prefix)
    )
      t.fail(text);
    sourceNetwork(text);
    check(endpointText, text);
    check(enrolToken, text);
    if (matchTotp(new Uint8Array(20), text, now, 1e9) !== null) t.fail(text);
    const hash = hashRecoveryCode('u', text);
    if (hash !== null && text.replace(/[\s-]/g, '').length !== 12) t.fail(text);
  }
  t.pass('no throw');
});

t.test(`files to apply (seed ${seed})`, async t => {
  const rng = seeded(seed + 4);
  const desk = new Desk();
  const file =
    '[[location]]\nname = "a"\nnetwork = "10.0.0.0/24"\n[location.policy]\nlease = 60\n[[user]]\nname = "b"\ngroups = ["g"]\n';
  t.ok(parse(file));
  for (let i = 0; i < 300; i++) {
    const text = garbled(rng, file);
    try {
      apply(desk, ['f', text, '--dry-run']);
    } catch (error) {
      if (!(error instanceof PlainError) || error.message.includes('\n'))
        t.fail(`${String(error)} for ${text}`);
    }
  }
  t.pass('a line for people, or nothing');
});
