// Handshakes per second a responder answers, with its CPU per handshake. Cookies are honoured: what is
// counted is complete answers, whatever a responder asks for on the way.

import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { Lab, cpuSeconds } from '../../test/fixtures/lab/netns.ts';
import { Tunnel, node26, plan, scratch, wg } from '../../test/fixtures/lab/tunnels.ts';
import type { Implementation } from '../../test/fixtures/lab/tunnels.ts';
import type { Results } from './results.ts';

const program = new URL('initiator.ts', import.meta.url).pathname;
const flockSize = 400;
/** Source addresses 10.91.0.20 and up, outside the two of the cable. */
const sources = Array.from({ length: 200 }, (_, i) => `10.91.0.${20 + i}`);

function publicOf(privateKey: Uint8Array): string {
  const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
  const key = createPrivateKey({ key: Buffer.concat([prefix, privateKey]), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
}

export async function handshakes(
  implementation: Implementation,
  results: Results,
  seconds: number,
): Promise<void> {
  const lab = new Lab('bch-');
  const files = scratch();
  try {
    const [a, b] = [lab.namespace('a'), lab.namespace('b')];
    const mine = [plan.a.outer4, ...sources].map(address => `${address}/24`);
    lab.cable(a, b, mine, [`${plan.b.outer4}/24`]);
    const responder = await Tunnel.start(lab, implementation, b, plan.b.port);
    responder.up([`${plan.b.inner4}/24`]);
    const flock = Array.from({ length: flockSize }, () => randomBytes(32));
    const peers = flock.map(
      (key, i) => `[Peer]\nPublicKey = ${publicOf(key)}\nAllowedIPs = 10.200.${i >> 8}.${i & 255}/32\n`,
    );
    wg('addconf', responder.ifname, files.write('flock.conf', peers.join('')));
    const before = cpuSeconds(responder.process.pid);
    const initiator = a.start(
      node26,
      [program, plan.b.outer4, `${plan.b.port}`, responder.keys.publicKey, `${seconds}`, '16'],
      { input: true },
    );
    initiator.child.stdin!.end(
      flock.map((key, i) => `${key.toString('base64')} ${sources[i % sources.length]}`).join('\n'),
    );
    await initiator.ended;
    const used = cpuSeconds(responder.process.pid) - before;
    const counted = JSON.parse(initiator.stdout || '{}') as {
      sent: number;
      answered: number;
      cookies: number;
      seconds: number;
    };
    if (counted.answered === undefined) throw new Error(`initiator: ${initiator.stderr}`);
    const { name } = implementation;
    const section = 'handshake';
    const rate = counted.answered / counted.seconds;
    results.add({ section, metric: 'answered as responder', unit: 'per s', better: 'more' }, name, rate);
    if (counted.answered > 0)
      results.add(
        { section, metric: "responder's CPU", unit: 'ms each', better: 'less' },
        name,
        (used * 1000) / counted.answered,
      );
    if (counted.cookies > 0)
      results.note(
        `handshake: ${name} sent ${counted.cookies} cookie replies for ${counted.sent} initiations`,
      );
  } finally {
    files.done();
    await lab.close();
  }
}
