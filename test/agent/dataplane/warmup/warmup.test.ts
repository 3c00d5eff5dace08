// The warm-up plays real packets over real sockets, and leaves nothing behind.

import { readdirSync } from 'node:fs';
import t from 'tap';
import { Counters } from '../../../../src/agent/dataplane/counters.ts';
import type { PathState } from '../../../../src/agent/dataplane/loop.ts';
import { DataplaneOutbox } from '../../../../src/agent/dataplane/outbox.ts';
import { makePathState } from '../../../../src/agent/dataplane/pathstate.ts';
import { portableProviders } from '../../../../src/agent/portableproviders.ts';
import { Warmup, turns } from '../../../../src/agent/dataplane/warmup/warmup.ts';
import { Sockets } from '../../../../src/agent/dataplane/sockets.ts';
import { chooseCrypto } from '../../../../src/platform/crypto/choose.ts';
import { loadFfi } from '../../../../src/platform/ffi/load.ts';
import { Libc } from '../../../../src/platform/libc.ts';
import { Poller } from '../../../../src/platform/poll.ts';
import { Tun } from '../../../../src/platform/tun.ts';
import { Arena } from '../../../../src/util/arena.ts';
import { Device, type DeviceOptions } from '../../../../src/wireguard/device.ts';
import { FaultyFfi } from '../../../fixtures/fakes/faultyffi.ts';

const ffi = new FaultyFfi(await loadFfi());

/** A data plane's parts, around a TUN device that must not be touched: it has no descriptor. */
function stage(vnetHeader: boolean, offload = true): { parts: PathState; open: () => Warmup | null } {
  const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
  const arena = new Arena(memory.buffer);
  const libc = new Libc(ffi, arena);
  const offloads = { csum: vnetHeader, tso4: vnetHeader, tso6: vnetHeader, uso4: false, uso6: false };
  const tun = new Tun(libc, -1, 'none', vnetHeader, offloads);
  const crypto = chooseCrypto(libc, () => portableProviders(arena, memory), 'auto');
  const options: DeviceOptions = {
    arena,
    crypto,
    random: out => void globalThis.crypto.getRandomValues(out),
    wallMs: () => Date.now(),
  };
  const sockets = new Sockets(libc, new Poller(libc), true);
  const counters = new Counters();
  const parts: PathState = {
    ...makePathState(libc, memory, 1420),
    device: new Device(options),
    tun,
    sockets,
    counters,
    out: new DataplaneOutbox(sockets, counters),
  };
  return { parts, open: () => Warmup.open(libc, tun, offload, parts, options) };
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

for (const vnetHeader of [true, false]) {
  t.test(vnetHeader ? 'with super-packets' : 'without a header in front of packets', async t => {
    const { parts, open } = stage(vnetHeader);
    const before = descriptors();
    const warmup = open()!;
    while (warmup.play());
    // One piece in thirteen leads nowhere, and at each meeting some wait for a handshake. Two are super-packets of
    // 130 and 128 segments, for which it takes three and two sends.
    const share = vnetHeader ? 15 / 13 : 10 / 13;
    t.ok(warmup.heard > share * turns * 0.95, `${warmup.heard} of ${turns} were heard`);
    t.ok(warmup.heard <= share * turns + 1);
    t.equal(descriptors(), before, 'all sockets are closed');
    t.equal(parts.batch.count, 0, 'nothing waits in the batch');
    t.equal(parts.device.peerCount, 0);
    const { drops, batches } = parts.counters.read([], '', 1);
    t.ok(
      Object.values(drops).every(count => count === 0),
      'the device in use has counted nothing',
    );
    t.equal(batches.sum, 0);
  });
}

t.test('no segmentation where it is switched off', async t => {
  const { parts, open } = stage(false, false);
  const warmup = open()!;
  t.equal(parts.batch.maxSegments, 1);
  for (let turn = 0; turn < 30; turn++) warmup.play();
  t.ok(warmup.heard > 0);
  warmup.close();
});

t.test('can be broken off at any time', async t => {
  const { open } = stage(true);
  const before = descriptors();
  const warmup = open()!;
  for (let turn = 0; turn < 3; turn++) warmup.play();
  warmup.close();
  t.equal(descriptors(), before);
});

t.test('where there are no sockets for it, there is no warm-up', async t => {
  const { open } = stage(true);
  const before = descriptors();
  ffi.fail('socketpair', () => 24);
  t.equal(open(), null, 'too many open files');
  ffi.heal();
  ffi.fail('bind', () => 99);
  t.equal(open(), null, 'no loopback address');
  ffi.heal();
  ffi.fail('bind', call => (call > 2 ? 99 : 0)); // the first socket binds twice: itself, and the probe of its segments
  t.equal(open(), null, 'only one socket');
  ffi.heal();
  t.equal(descriptors(), before, 'and what was opened is closed');
});
