import t from 'tap';
import { packet4, packet6 } from '../fixtures/packets/pair.ts';
import { innerLength, sourceOwner, destinationOwner } from '../../src/wireguard/inner.ts';
import { AllowedIps } from '../../src/wireguard/peer/allowedips.ts';

const length = (packet: Uint8Array): number => innerLength(packet, 0, packet.length);

t.test('R3 version, length and padding', async t => {
  t.equal(length(packet4(1, 2, 20)), 20);
  t.equal(length(packet6(1, 2, 40)), 40);
  const padded = new Uint8Array(112);
  padded.set(packet4(1, 2, 100));
  t.equal(length(padded), 100, 'padding trimmed');
  t.equal(length(new Uint8Array(0)), -1);
  t.equal(length(packet4(1, 2, 64).subarray(0, 19)), -1, 'shorter than a header');
  t.equal(length(packet6(1, 2, 64).subarray(0, 39)), -1);
  t.equal(length(packet4(1, 2, 64).subarray(0, 63)), -1, 'longer than what came');
  t.equal(length(packet6(1, 2, 64).subarray(0, 63)), -1);
  for (const version of [0, 1, 5, 7, 15]) {
    const other = packet4(1, 2, 64);
    other[0] = (version << 4) | 5;
    t.equal(length(other), -1, `version ${version}`);
  }
  const short = packet4(1, 2, 64);
  short[3] = 19;
  t.equal(length(short), -1, 'total length below 20');
  const huge = packet6(1, 2, 64);
  huge[4] = huge[5] = 0xff;
  t.equal(length(huge), -1, 'no 16-bit overflow');
});

t.test('addresses by version', async t => {
  const routes = new AllowedIps<object>();
  const one = {};
  const two = {};
  routes.insert({ family: 4, address: Uint8Array.of(10, 0, 0, 1), prefix: 32 }, one);
  routes.insert({ family: 4, address: Uint8Array.of(10, 0, 0, 2), prefix: 32 }, two);
  routes.insert({ family: 6, address: packet6(1, 2).slice(8, 24), prefix: 128 }, one);
  for (const packet of [packet4(1, 2), packet6(1, 2)]) t.equal(sourceOwner(routes, packet, 0), one);
  t.equal(destinationOwner(routes, packet4(1, 2), 0), two);
  t.equal(destinationOwner(routes, packet6(1, 2), 0), null);
});
