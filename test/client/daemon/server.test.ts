import t from 'tap';
import { Api } from '../../../src/client/api.ts';
import { Server, enrol } from '../../../src/client/daemon/server.ts';
import { paths } from '../../../src/control/clientapi/words.ts';
import { toBase64 } from '../../../src/util/bytes.ts';
import { clientState, location } from '../../fixtures/system/client.ts';
import { Front } from '../../fixtures/system/front.ts';

t.test('extend and logout carry a proof for their own purpose', async t => {
  const front = new Front();
  const state = clientState(undefined, await front.open());
  t.teardown(() => front.close());
  const server = new Server(new Api(state.proxy), state, location());
  t.match(await server.extend('session-1'), { id: 'session-1' });
  t.equal(await server.logout('session-1'), true);
  front.refuse(paths.logout, { status: 401, code: 'refused', message: 'no' });
  await t.rejects(server.logout('session-1'), { code: 'refused' });
  for (const body of front.bodies) t.notMatch(body, state.privateKey);
});

t.test('an answer of another shape is not believed', async t => {
  const front = new Front();
  const api = new Api(await front.open());
  t.teardown(() => front.close());
  await t.rejects(enrol(api, 'spe_wrong', 'x', 'y'), { code: 'bad-token' });
  const lowOrder = clientState([location({ proofKey: toBase64(new Uint8Array(32)) })]);
  const [place] = lowOrder.enrolled.locations;
  await t.rejects(new Server(api, lowOrder, place!).extend('s'), { code: 'bad-proof-key' });
  const other = new Server(
    { post: () => Promise.resolve({ ended: 'yes' }) } as unknown as Api,
    clientState(),
    location(),
  );
  await t.rejects(other.logout('s'), { code: 'bad-answer', message: /ended/ });
});
