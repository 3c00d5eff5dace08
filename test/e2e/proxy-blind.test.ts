// The Proxy learns nothing: after an enrolment and a login through it, neither the token nor any form of the PSK is in its
// memory, in its log or in the traffic that passed it. The PSK is known to the test from a client of its own; that client's memory, where the search does find it,
// and the sealed key, which the Proxy did have to carry, show that the search can see.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { enrolSecret } from '../../src/control/trust/enrolment.ts';
import { sleep, until } from '../../scripts/lib/world.ts';
import { cannotStage, openHouse } from '../fixtures/system/house.ts';
import { formsOf, searchMemory } from '../fixtures/fakes/memory.ts';

// The tests run real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const knower = fileURLToPath(new URL('../fixtures/system/knower.ts', import.meta.url));
const skip = await cannotStage();

t.test('token and PSK pass the Proxy unseen', { skip }, async t => {
  const stage = await openHouse({ logLevel: 'debug' });
  t.teardown(() => stage.close());
  const pcap = stage.path('capture.pcap');
  const tcpdump = stage.world.spawn('server', ['tcpdump', '-i', 'any', '-U', '-s', '0', '-w', pcap], {
    stdio: 'ignore',
  });
  const captures = await new Promise<boolean>(resolve => {
    tcpdump.once('error', () => resolve(false));
    tcpdump.once('exit', () => resolve(false));
    void until('tcpdump', 5000, () => readFileSync(pcap).length > 0).then(
      () => resolve(true),
      () => resolve(false),
    );
  });
  const client = stage.world.spawn(
    'client',
    [process.execPath, knower, stage.clientDir, stage.write('code', stage.code())],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: client.stdout! }).once('line', resolve);
    client.once('exit', code => reject(new Error(`the client ended with status ${code}`)));
  });
  client.removeAllListeners('exit');
  const { psk, sealed } = JSON.parse(line) as { psk: string; sealed: string };
  const secret = Buffer.from(psk, 'hex');
  t.equal(secret.length, 32);

  const seen = searchMemory(client.pid!, formsOf(secret));
  t.ok(seen.found.includes('raw'), 'the search finds the PSK in the client that holds it');

  const token = readFileSync(stage.path('enrol-token'));
  const carried = {
    sealed: Buffer.from(sealed.slice(0, 64)),
    ticket: Buffer.from(enrolSecret(token.toString()).ticket),
  };
  const inProxy = searchMemory(stage.proxy!.pid, { ...formsOf(secret), token, ...carried });
  t.comment(`${(inProxy.bytes / 1e6).toFixed(0)} MB of the Proxy searched`);
  const found = inProxy.found.filter(name => name !== 'ticket'); // older, so it may be gone by now
  t.strictSame(found, ['sealed'], 'the Proxy carried the sealed key, and nothing it could open');

  const secrets = Object.entries({ ...formsOf(secret), token });
  for (const [name, form] of secrets)
    t.notOk(readFileSync(stage.proxy!.logFile).includes(form), `log, ${name}`);
  await t.test('captured traffic', { skip: captures ? false : 'needs tcpdump' }, async t => {
    await sleep(300);
    tcpdump.kill('SIGTERM');
    const traffic = readFileSync(pcap);
    t.ok(traffic.length > 10_000, `${traffic.length} bytes were captured`);
    for (const [name, form] of secrets) t.notOk(traffic.includes(form), name);
  });
  client.stdin!.end();
});
