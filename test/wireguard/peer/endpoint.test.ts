import t from 'tap';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';

t.test('copies, compares and forgets', async t => {
  const a = new Endpoint();
  a.family = 6;
  a.address.set([0xfe, 0x80], 0);
  a.port = 7;
  a.scopeId = 2;
  a.sourceFamily = 6;
  a.source[0] = 1;
  a.sourceInterface = 3;
  const b = new Endpoint();
  t.notOk(a.equals(b));
  t.notOk(a.isSameRemote(b));
  b.copyFrom(a);
  t.ok(a.equals(b));
  b.source[0] = 2;
  t.notOk(a.equals(b));
  t.ok(a.isSameRemote(b), 'another local source is the same remote');
  b.clearSource();
  t.match(b, { sourceFamily: 0, sourceInterface: 0 });
  t.ok(a.isSameRemote(b));
  b.address[15] = 1;
  t.notOk(a.isSameRemote(b));
  b.clear();
  t.equal(b.family, 0);
});
