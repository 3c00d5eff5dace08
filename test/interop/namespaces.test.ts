// What else is done to an interface while its daemon runs: renamed, and moved to another network namespace. Traffic goes on with no
// restart, and the sockets stay where they were made.

import t from 'tap';
import { Lab, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, ours, plan, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(200_000);

t.test('renamed', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, ours(), wireguardGo());
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'before');
  const name = `${a.ifname.slice(0, 10)}-new`;
  a.namespace.ip(`link set ${a.ifname} down`);
  a.namespace.ip(`link set ${a.ifname} name ${name}`);
  a.namespace.ip(`link set ${name} up`);
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'after');
  a.namespace.ip(`link set ${name} mtu 1300`);
  t.equal(b.namespace.ping(plan.a.inner4, 3), 3, 'with another MTU');
  a.namespace.ip(`link del ${name}`);
  t.ok(await until(() => !a.process.isAlive, 5000), 'deleted: the process ends');
});

t.test('moved to another network namespace', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, ours(), wireguardGo());
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'before');
  const inner = lab.namespace('inner');
  a.namespace.ip(`link set ${a.ifname} netns ${inner.name}`);
  inner.ip(`addr add ${plan.a.inner4}/24 dev ${a.ifname}`);
  inner.ip(`link set ${a.ifname} up`);
  t.equal(inner.ping(plan.b.inner4, 3), 3, 'from the other namespace');
  t.equal(b.namespace.ping(plan.a.inner4, 3), 3, 'and to it');
  a.namespace.ip(`link add ${a.ifname} type veth peer name other`);
  t.equal(inner.ping(plan.b.inner4, 3), 3, 'another interface takes the old name');
  a.namespace.ip(`link del ${a.ifname}`);
  t.ok(a.process.isAlive, 'and goes again');
  inner.ip(`link del ${a.ifname}`);
  t.ok(await until(() => !a.process.isAlive, 5000), 'deleted there: the process ends');
});
