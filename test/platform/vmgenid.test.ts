// The uevent itself comes from a hypervisor only. Here: its text, and that other events arrive and are not taken for it.

import t from 'tap';
import { existsSync, writeFileSync } from 'node:fs';
import { Poller } from '../../src/platform/poll.ts';
import { GenerationWatch, saysCopy } from '../../src/platform/vmgenid.ts';
import { openLibc } from '../fixtures/native.ts';

const event = (...lines: string[]): Uint8Array => new TextEncoder().encode(lines.join('\0') + '\0');

t.test('T18 the one event among others', async t => {
  const head = ['change@/devices/virtual/misc/vmgenid', 'ACTION=change', 'SUBSYSTEM=misc'];
  t.ok(saysCopy(event(...head, 'NEW_VMGENID=1', 'SEQNUM=1234')));
  t.ok(saysCopy(event(...head, 'NEW_VMGENID=1')));
  t.notOk(saysCopy(event(...head, 'SEQNUM=1234')));
  t.notOk(saysCopy(event(...head, 'NEW_VMGENID=0')));
  t.notOk(saysCopy(event(...head, 'SYNTH_ARG_NEW_VMGENID=1')), 'somebody with rights over sysfs made it up');
  t.notOk(saysCopy(event(...head, 'NEW_VMGENID=12')));
  t.notOk(saysCopy(new Uint8Array(0)));
});

const loopback = '/sys/class/net/lo/uevent';
t.test(
  'another event wakes and means nothing',
  { skip: existsSync(loopback) && process.getuid?.() === 0 ? false : 'needs root and /sys' },
  async t => {
    const libc = await openLibc();
    const watch = GenerationWatch.open(libc);
    if (watch === null) {
      t.pass('this machine has no such socket');
      return;
    }
    const poller = new Poller(libc);
    poller.add(watch.fd);
    t.notOk(watch.changed());
    let isWritable = true;
    try {
      writeFileSync(loopback, 'change 6b1d6f3c-0000-4000-8000-000000000001 NEW=1');
    } catch {
      isWritable = false; // a container's /sys
    }
    if (isWritable) t.equal(poller.wait(2000), 1);
    t.notOk(watch.changed());
    t.equal(poller.wait(0), 0, 'drained');
    watch.close();
  },
);
