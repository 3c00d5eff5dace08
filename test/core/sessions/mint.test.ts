import t from 'tap';
import { transcriptOf, verifyGrant } from '../../../src/control/trust/grant.ts';
import { generateKemKeyPair, open } from '../../../src/control/trust/seal.ts';
import { leaseEnd, mint } from '../../../src/core/sessions/mint.ts';
import { equalBytes, isZero } from '../../../src/util/bytes.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

t.test('one key, sealed to each side, in no other form', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const place = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24', '--lease', '600')['id']!;
  const device = desk.device(user);
  const agentKem = generateKemKeyPair();
  const clientKem = generateKemKeyPair();
  const agent = { ...(await desk.agent(place)), kemPublic: agentKem.publicKey };
  const broken = { ...agent, id: 'a_broken', kemPublic: 'xwing.AA' };
  const location = desk.store.places.location(place)!;
  const login = { ...(await desk.login(device, user, place)), kemPublicKey: clientKem.publicKey };
  const drawn: Uint8Array[] = [];
  const random = (bytes: number): Uint8Array => {
    const value = desk.random(bytes);
    drawn.push(value);
    return value;
  };
  const order = { id: 's_1', epoch: 3, login, location, agents: [agent, broken], host: 2, now: desk.now };
  const minted = (await mint(order, desk.store.signKey.privateKey, random))!;
  t.equal(minted.grants.length, 1, 'an agent with an unusable key is left out');
  t.equal(minted.leaseUntil, desk.now + 600_000);
  t.ok(isZero(drawn[0]!), 'the plaintext is wiped');
  const verdict = verifyGrant(minted.grants[0]!.text, {
    coreKeys: [desk.store.signKey.publicKey],
    audiences: [agent.id],
    wallMs: desk.now,
    held: () => undefined,
    peers: 0,
    policy: { maxLifeMs: 43_200_000, minStale: 180, ranges: [], maxPeers: 1 },
  });
  if (!verdict.ok) throw new Error(verdict.code);
  t.match(verdict.grant, {
    id: 's_1',
    epoch: 3,
    ips: ['10.77.0.2/32'],
    lease: 600,
    stale: 180,
    aal: ['totp'],
  });
  const transcript = transcriptOf(verdict.grant);
  const forAgent = open(agentKem, 'agent', transcript, verdict.grant.psk);
  const forClient = open(clientKem, 'client', transcript, minted.forClient);
  t.ok(forAgent !== null && forClient !== null && equalBytes(forAgent, forClient) && !isZero(forAgent));
  t.equal(
    await mint(
      { ...order, login: { ...login, kemPublicKey: 'xwing.AA' } },
      desk.store.signKey.privateKey,
      random,
    ),
    null,
  );
});

t.test('a lease never outlives the session', async t => {
  t.equal(leaseEnd(1000, 0, 9000), 0);
  t.equal(leaseEnd(1000, 5, 9000), 6000);
  t.equal(leaseEnd(1000, 50, 9000), 9000);
});
