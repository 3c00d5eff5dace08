// Every check of a grant in its order, with everything else right, and the order itself.

import t from 'tap';
import {
  grantForLog,
  grantMaxBytes,
  signGrant,
  transcriptOf,
  verifyGrant,
} from '../../../src/control/trust/grant.ts';
import type { Grant, GrantContext, GrantRefusal, HeldGrant } from '../../../src/control/trust/grant.ts';
import { generateSignKeyPair, signBytes } from '../../../src/control/trust/keys.ts';
import { parsePrefix } from '../../../src/util/inet.ts';
import { plainGrant, zeroKey } from '../../fixtures/system/grant.ts';

const core = generateSignKeyPair();
const now = 1_700_000_000_000;
const device = zeroKey;
const grant = plainGrant(now);

function context(change: Partial<GrantContext> = {}, held?: HeldGrant): GrantContext {
  return {
    coreKeys: [core.publicKey],
    audiences: ['a_1', 'loc_1'],
    wallMs: now,
    held: () => held,
    peers: 0,
    policy: { maxLifeMs: 86_400_000, minStale: 180, ranges: [parsePrefix('10.77.0.0/16')!], maxPeers: 10 },
    ...change,
  };
}

const signed = (change: Partial<Grant> = {}): string => signGrant(core.privateKey, { ...grant, ...change });

function code(text: string, change?: Partial<GrantContext>, held?: HeldGrant): GrantRefusal | 'ok' | 'again' {
  const verdict = verifyGrant(text, context(change, held));
  if (!verdict.ok) return verdict.code;
  return verdict.again ? 'again' : 'ok';
}

t.test('a good grant', async t => {
  const verdict = verifyGrant(signed(), context());
  t.ok(verdict.ok);
  if (!verdict.ok) return;
  t.same(verdict.grant, grant);
  t.same(verdict.ips, [parsePrefix('10.77.0.2/32')]);
  t.equal(code(signed({ aud: 'loc_1' })), 'ok');
  t.equal(
    code(signed(), { coreKeys: [generateSignKeyPair().publicKey, core.publicKey] }),
    'ok',
    'while Core rotates',
  );
});

t.test('each refusal has its own code', async t => {
  const { policy } = context();
  const policed = (change: Partial<typeof policy>): Partial<GrantContext> => ({
    policy: { ...policy, ...change },
  });
  const table: readonly [GrantRefusal, string, Partial<GrantContext>?, HeldGrant?][] = [
    ['size', 'sp1.'.padEnd(grantMaxBytes + 1, 'A')],
    ['form', ''],
    ['form', signed().replace('sp1.', 'sp2.')],
    ['form', `${signed()}.x`],
    ['form', signed({ stale: -1 })],
    ['form', signed({ ips: [] })],
    ['form', signed({ psk: '' })],
    ['signature', signed(), { coreKeys: [] }],
    ['signature', signed().replace(/.{4}$/, 'AAAA')],
    ['audience', signed({ aud: 'a_2' })],
    ['version', signed({ v: 2 as 1 })],
    ['clock', signed(), { wallMs: null }],
    ['not-yet', signed({ nbf: now + 60_000 })],
    ['not-yet', signed({ iat: now + 60_000 })],
    ['expired', signed({ exp: now })],
    ['expired', signed({ nbf: now, exp: now - 1 })],
    ['epoch', signed(), {}, { epoch: 6, id: 's_9', live: true }],
    ['epoch', signed(), {}, { epoch: 5, id: 's_9', live: false }],
    ['ended', signed(), {}, { epoch: 5, id: 's_1', live: false }],
    ['policy-life', signed(), policed({ maxLifeMs: 60_000 })],
    ['policy-stale', signed({ stale: 10 })],
    ['policy-ips', signed({ ips: ['10.77.0.2/32', '0.0.0.0/0'] })],
    ['policy-ips', signed({ ips: ['fd00::2/128'] })],
    ['policy-peers', signed(), { peers: 10 }],
  ];
  for (const [wanted, text, change, held] of table) t.equal(code(text, change, held), wanted, wanted);
});

t.test('what replaces what', async t => {
  t.equal(code(signed(), {}, { epoch: 5, id: 's_1', live: true }), 'again');
  t.equal(code(signed(), {}, { epoch: 4, id: 's_0', live: true }), 'ok');
  t.equal(
    code(signed({ epoch: 6 }), {}, { epoch: 5, id: 's_1', live: true }),
    'ok',
    'the same session, prolonged',
  );
  t.equal(
    code(signed(), { peers: 10 }, { epoch: 4, id: 's_0', live: true }),
    'ok',
    'a full house still renews',
  );
  t.equal(code(signed({ nbf: now + 20_000 })), 'ok', 'clocks differ a little');
  t.equal(code(signed({ ips: ['192.0.2.1/32'] }), { policy: { ...context().policy, ranges: [] } }), 'ok');
});

t.test('the order: an earlier fault hides a later one', async t => {
  const everything = { aud: 'a_2', exp: now, stale: 1 };
  t.equal(code(signed(everything), { coreKeys: [] }), 'signature');
  t.equal(code(signed(everything)), 'audience');
  t.equal(code(signed({ v: 3 as 1, exp: now })), 'version');
  t.equal(code(signed({ exp: now, stale: 1 }), {}, { epoch: 9, id: 'x', live: true }), 'expired');
  t.equal(code(signed({ stale: 1 }), {}, { epoch: 9, id: 'x', live: true }), 'epoch');
});

t.test('a signature is over these bytes and this purpose', async t => {
  const [, payload] = signed().split('.');
  const bare = signBytes(core.privateKey, Buffer.from(payload!, 'base64url'));
  t.equal(
    code(`sp1.${payload}.${Buffer.from(bare).toString('base64url')}`),
    'signature',
    'without the domain',
  );
  const notUtf8 = Buffer.from([0xff, 0xfe]);
  const signature = signBytes(core.privateKey, Buffer.concat([Buffer.from('sallyport grant v1\0'), notUtf8]));
  t.equal(
    code(`sp1.${notUtf8.toString('base64url')}.${Buffer.from(signature).toString('base64url')}`),
    'form',
  );
});

t.test('for the log, and for the seal', async t => {
  const text = JSON.stringify(grantForLog(grant));
  t.notOk(text.includes(grant.psk));
  t.match(text, /"epoch":5/);
  t.same(transcriptOf(grant), { grant: 's_1', device, location: 'loc_1', login: device });
});
