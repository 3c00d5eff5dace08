import t from 'tap';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from '../../../src/agent/control/join.ts';
import { loadIdentity } from '../../../src/agent/control/identity.ts';
import { PlainError } from '../../../src/util/errors.ts';
import { FakeCore, joinToken } from '../../fixtures/fakes/fakecore.ts';

t.test('joining', async t => {
  const core = await new FakeCore().listen();
  t.teardown(() => core.close());
  const identity = await loadIdentity(t.testdir(), true, () => undefined);
  const wanted = { coreUrl: core.url, token: joinToken, name: 'gate-1', identity };

  await t.test("public keys go, Core's keys come", async t => {
    const answer = await join(wanted);
    t.match(answer, { agentId: core.agentId, location: core.location, coreKeys: [/^.{43}=$/] });
    t.match(core.enrolled, { name: 'gate-1', kemPublicKey: identity.kem.publicKey });
  });

  await t.test('refused for good', async t => {
    const refused = (message: RegExp): { code: string; exit: number; message: RegExp } => ({
      code: 'join-refused',
      exit: 1,
      message,
    });
    await t.rejects(join({ ...wanted, token: `spj_${'B'.repeat(32)}` }), refused(/join token is not valid/));
    core.enrolAnswers = [{ status: 200, body: '{"agentId":1}' }];
    await t.rejects(join(wanted), refused(/something unexpected \(agentId must be/));
    core.enrolAnswers = [{ status: 404, body: '<html>' }];
    await t.rejects(join(wanted), refused(/HTTP status 404/));
    core.enrolAnswers = [{ status: 302, body: '' }];
    await t.rejects(join(wanted), refused(/HTTP status 302/), 'a token follows no redirect');
  });

  await t.test('worth another try', async t => {
    for (const status of [429, 500, 503]) {
      core.enrolAnswers = [{ status, body: '{"error":{"code":"slow-down","message":"later"}}' }];
      await t.rejects(join(wanted), { code: 'join-unreachable', message: /later/ });
    }
    core.enrolAnswers = [{ status: 200, body: 'x'.repeat(70_000) }];
    await t.rejects(join(wanted), { code: 'join-unreachable', message: /over 65536 bytes/ });
    await t.rejects(join({ ...wanted, coreUrl: 'http://127.0.0.1:1' }), {
      code: 'join-unreachable',
      message: /ECONNREFUSED/,
    });
    const silent = createServer(() => undefined);
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
    const coreUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    await t.rejects(join({ ...wanted, coreUrl, timeoutMs: 30 }), {
      code: 'join-unreachable',
      message: /no answer in time/,
    });
    silent.closeAllConnections();
    silent.close();
  });

  await t.test('the token is in no message', async t => {
    for (const coreUrl of [core.url, 'http://127.0.0.1:1']) {
      core.enrolAnswers = [{ status: 403, body: '{}' }];
      const error = await join({ ...wanted, coreUrl }).catch((error: unknown) => error as PlainError);
      t.ok(error instanceof PlainError);
      t.notMatch(String(error), joinToken.slice(4));
    }
  });
});
