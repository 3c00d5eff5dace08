// The wire as a third party sees it: tcpdump keeps what passes between our tunnel and wireguard-go, tshark deciphers it with
// our keys, and every datagram is held against the whitepaper: form, sizes, padding, indices, counters (§5.4), and the
// packets inside against their own checksums, which our segmentation computes. Both roles, with a PSK, offloads on.

import t from 'tap';
import type { Test } from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { keep, otherZero, read } from '../fixtures/lab/capture.ts';
import type { Frame } from '../fixtures/lab/capture.ts';
import { Lab, until, whyNoLab } from '../fixtures/lab/netns.ts';
import {
  connect,
  node26,
  plan,
  sallyport,
  scratch,
  wg,
  whyNoPeers,
  wireguardGo,
} from '../fixtures/lab/tunnels.ts';
import type { Implementation, Pair, Tunnel } from '../fixtures/lab/tunnels.ts';

const standIn = process.env['INTEROP_OURS'] !== undefined && 'the ephemeral keys of a stand-in are not known';
const skip = whyNoLab('tcpdump', 'tshark') ?? whyNoPeers() ?? standIn;
t.setTimeout(300_000);
const program = new URL('../fixtures/lab/transfer.ts', import.meta.url).pathname;
const draws = new URL('../fixtures/lab/draws.ts', import.meta.url).href;
const mtu = 1420;
const sizes: Readonly<Record<number, number>> = { 1: 148, 2: 92, 3: 64 };

/** Ours, with its random draws written to `file`. */
function observed(file: string): Implementation {
  const base = sallyport([
    node26,
    '--experimental-ffi',
    '--disable-warning=ExperimentalWarning',
    '--import',
    draws,
  ]);
  return { ...base, env: { ...base.env, DRAWS: file } };
}

async function transfer(t: Test, from: Tunnel, to: Tunnel, address: string): Promise<void> {
  const server = to.namespace.start(node26, [program, 'serve', address, '5099']);
  t.ok(await until(() => server.stdout.includes('listening'), 10_000), 'server listens');
  const sender = from.namespace.start(node26, [program, 'send', address, '5099', '3000000', '9']);
  t.equal(await sender.ended, 0, `3 MB: ${sender.stdout.trim()}${sender.stderr.trim()}`);
}

/** Segmented sends show on a cable that takes them whole as datagrams longer than any frame. */
async function sendsSegmented(t: Test, { a, b, cable }: Pair): Promise<void> {
  const long = b.namespace.start('tcpdump', [
    ...['-i', cable, '-c', '1', '--immediate-mode', `udp and src host ${plan.a.outer4} and greater 3000`],
  ]);
  t.ok(await until(() => long.stderr.includes('listening on'), 10_000), 'tcpdump listens');
  await transfer(t, a, b, plan.b.inner4);
  t.ok(await until(() => !long.isAlive, 3000), 'our sends are segmented by the kernel');
  await long.stop();
}

/** All traffic there is to see, on a cable that (like most network cards) takes no segmented sends. */
async function everything(t: Test, { a, b }: Pair): Promise<void> {
  for (const bytes of [0, 1, 7, 56, 333]) {
    t.equal(a.namespace.ping(plan.b.inner4, 1, { bytes }), 1, `ping with ${bytes} bytes`);
    t.equal(b.namespace.ping(plan.a.inner6, 1, { bytes }), 1, `ping with ${bytes} bytes, IPv6`);
  }
  await transfer(t, a, b, plan.b.inner4);
  await transfer(t, b, a, plan.a.inner4);
  await transfer(t, a, b, plan.b.inner6);
  await transfer(t, b, a, plan.a.inner6);
}

/** What tshark needs to decipher a conversation of `a`. */
function keylog({ a, b }: Pair, psk: string, ephemerals: string[]): string {
  return [
    `LOCAL_STATIC_PRIVATE_KEY = ${a.keys.privateKey}`,
    `REMOTE_STATIC_PUBLIC_KEY = ${b.keys.publicKey}`,
    ...ephemerals.map(key => `LOCAL_EPHEMERAL_PRIVATE_KEY = ${key}\nPRESHARED_KEY = ${psk}`),
    '',
  ].join('\n');
}

/** The first frames a condition does not hold for, as text; '' when it holds for all. */
function except(frames: readonly Frame[], holds: (frame: Frame) => boolean): string {
  const wrong = frames.filter(frame => !holds(frame));
  const shown = wrong
    .slice(0, 3)
    .map(({ innerChecksums, ...frame }) => ({ ...frame, innerChecksums: `${innerChecksums}` }));
  const text = JSON.stringify(shown, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
  return wrong.length === 0 ? '' : `${wrong.length} of ${frames.length}: ${text}`;
}

function forms(t: Test, frames: readonly Frame[]): void {
  const isZero = (bytes: string): boolean => /^[0:]+$/.test(bytes);
  t.equal(
    except(frames, f => f.type >= 1 && f.type <= 4 && f.complaint === ''),
    '',
    'WireGuard, deciphered',
  );
  t.equal(
    except(frames, f => isZero(f.reserved)),
    '',
    'reserved bytes are zero',
  );
  t.equal(
    except(
      frames.filter(f => f.type < 4),
      f => f.bytes === sizes[f.type],
    ),
    '',
    'sizes of handshake messages',
  );
  t.equal(
    except(
      frames.filter(f => f.type < 3),
      f => isZero(f.mac2),
    ),
    '',
    'no mac2: nobody asked for a cookie',
  );
}

function handshakes(t: Test, frames: readonly Frame[], initiator: Tunnel): void {
  const initiations = frames.filter(f => f.type === 1);
  t.ok(initiations.length >= 1, 'an initiation');
  t.equal(
    except(initiations, f => f.static === initiator.keys.publicKey && f.timestamp !== ''),
    '',
    'initiations carry the static key of their sender and a time',
  );
  const responses = frames.filter(f => f.type === 2);
  t.ok(responses.length >= 1, 'a response');
  t.equal(
    except(responses, f => f.isResponseDeciphered),
    '',
    'responses are deciphered, PSK and all',
  );
  t.equal(
    except(responses, f => initiations.some(i => i.sender === f.receiver && i.from === f.to)),
    '',
    'and answer an initiation',
  );
}

function transport(t: Test, frames: readonly Frame[]): void {
  const named = new Set<string>();
  const counters = new Map<string, bigint>();
  const data = frames.filter(f => f.type === 4);
  const strangers: Frame[] = [];
  const disorder: Frame[] = [];
  for (const frame of frames) {
    if (frame.type < 3) named.add(`${frame.from} ${frame.sender}`);
    if (frame.type !== 4) continue;
    if (!named.has(`${frame.to} ${frame.receiver}`)) strangers.push(frame);
    const session = `${frame.from} ${frame.receiver}`;
    if (frame.counter <= (counters.get(session) ?? -1n)) disorder.push(frame);
    if (!counters.has(session) && frame.counter !== 0n) disorder.push(frame);
    counters.set(session, frame.counter);
  }
  t.equal(
    except(strangers, () => false),
    '',
    'receiver indices were named by the receiver before',
  );
  t.equal(
    except(disorder, () => false),
    '',
    'counters begin at 0 and increase strictly, per direction and session',
  );
  t.equal(
    except(data, f => f.bytes - 32 === Math.min(mtu, Math.ceil(f.innerBytes / 16) * 16)),
    '',
    'padded to the next multiple of 16, never beyond the MTU, no byte more',
  );
  const carried = data.filter(f => !f.isKeepalive);
  t.equal(
    except(carried, f => f.inner !== '' && f.innerChecksums.length > 0),
    '',
    'an IP packet inside',
  );
  t.equal(
    except(carried, f =>
      f.innerChecksums.every(s => s === 'good' || (s === otherZero && f.from === plan.b.outer4)),
    ),
    '',
    'its checksums hold',
  );
  for (const from of [plan.a.outer4, plan.b.outer4]) {
    const full = data.filter(f => f.from === from && f.inner === 'tcp' && f.innerBytes > 1000).length;
    t.ok(full > 3000, `bulk from ${from}: ${full} full packets seen`);
  }
}

for (const [name, endpoints] of [
  ['we initiate', 'left'],
  ['they initiate', 'right'],
] as const)
  t.test(name, { skip, timeout: 120_000 }, async t => {
    const lab = new Lab('itp-');
    const files = scratch();
    t.teardown(async () => {
      await lab.close();
      files.done();
    });
    const drawn = `${files.dir}/draws`;
    const capture = `${files.dir}/wire.pcap`;
    const psk = wg('genpsk');
    const pair = await connect(lab, observed(drawn), wireguardGo(), { psk, endpoints, mtu });
    const { a, b, cable } = pair;
    // Segmented by the kernel before the cable, so that the capture holds datagrams as a wire would.
    const segmentsAtOnce = (count: number): void =>
      void a.namespace.ip(`link set ${cable} gso_max_segs ${count}`);
    segmentsAtOnce(1);
    const dump = await keep(b.namespace, cable, capture);
    const initiator = endpoints === 'left' ? a : b;
    t.equal(
      initiator.namespace.ping(initiator === a ? plan.b.inner4 : plan.a.inner4, 1),
      1,
      'the first packet',
    );
    await everything(t, pair);
    await dump.stop();
    t.match(dump.stderr, /^0 packets dropped by kernel/m, 'the capture is complete');
    segmentsAtOnce(65_535);
    await sendsSegmented(t, pair);

    t.ok(existsSync(drawn), 'ephemeral keys were drawn');
    const ephemerals = readFileSync(drawn, 'utf8').trim().split('\n');
    const frames = read(capture, files.write('keys', keylog(pair, psk, ephemerals)));
    t.ok(frames.length > 10_000, `${frames.length} datagrams`);
    t.equal(
      except(frames, f => f.bytes <= mtu + 32),
      '',
      'no datagram longer than a wire takes',
    );
    forms(t, frames);
    handshakes(t, frames, initiator);
    transport(t, frames);
  });
