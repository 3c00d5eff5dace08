// The whole story, told by real programs in a private network: a gateway that does not answer without a grant, a login that
// opens it, traffic, a Core that dies and comes back, a session that ends by itself, and one that an administrator ends.
// Whatever is claimed is counted on the interfaces by the kernel. Started by scripts/demo.

import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Stage, address } from './lib/stage.ts';
import { StepFailed, Timeline, expect } from './lib/timeline.ts';
import { now, sleep, until } from './lib/world.ts';

const built = fileURLToPath(new URL('../dist/sallyport.mjs', import.meta.url));
const options = arguments_();
const timeline = new Timeline({ json: options.json });
const transferBytes = 20 * 1024 * 1024;
let stage: Stage | null = null;
let ending: Promise<void> | null = null;

process.exitCode = 1;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    void over().then(() => process.exit(process.exitCode ?? 1));
  });
// A reader that went away (head, a closed terminal) ends the demo like a signal.
process.stdout.on('error', () => void over().then(() => process.exit(1)));

// Even a bug in the demo itself must not leave namespaces behind.
process.on('uncaughtException', error => {
  complain(error);
  void over().then(() => process.exit(1));
});

try {
  stage = await Stage.build({
    staleAfter: options.staleAfter,
    program: options.program,
  });
  await story(stage);
  process.exitCode = 0;
  timeline.note(`\nall ${timeline.held} steps held`);
  if (options.keep) await wait(stage);
} catch (error) {
  complain(error);
} finally {
  await over();
}

async function story(stage: Stage): Promise<void> {
  const { world } = stage;
  const wire = stage.wire();

  await timeline.step('core-up', 20_000, async () => {
    stage.startProxy();
    stage.startCore();
    const answer = await stage.untilAnswered();
    return { says: `Core answers through the Proxy, which it dialled itself (${answer})`, answer };
  });

  await timeline.step('agent-connected', 20_000, async () => {
    await stage.prepare();
    stage.startAgent();
    const agent = await stage.untilAgent(true);
    const { txPackets } = world.counters('gateway', 'to-server');
    expect(txPackets > 0, 'no packet left the gateway towards Core');
    return { says: `the gateway joined as ${agent} and proved its key`, agent, packetsToCore: txPackets };
  });

  await timeline.step('enrolled', 20_000, async () => {
    const enrolled = await stage.enrol();
    const mode = (statSync(stage.deviceFile).mode & 0o777).toString(8);
    expect(mode === '600', `the device file has mode ${mode}`);
    return {
      says: `one-time token spent, device of ${enrolled.user} registered; its private key stays in a 0600 file`,
      ...enrolled,
    };
  });

  await timeline.step('no-grant-no-handshake', 30_000, async () => {
    await stage.client(['up', ...stage.tunnelOptions]).then(succeeded);
    const before = wire.sent();
    await stage.knock();
    const knocked = await until('two handshake initiations on the wire', 15_000, async () => {
      const { client } = wire.since(before);
      if (client >= 2) return client;
      await stage.rekey();
      await stage.knock();
      return null;
    });
    await sleep(500);
    const { client, gateway } = wire.since(before);
    expect(
      knocked >= 2 && gateway === 0,
      `${client} datagrams to the gateway, ${gateway} back: it must stay silent`,
    );
    return {
      says: `${client} initiations sent, ${gateway} datagrams came back`,
      initiations: client,
      answers: gateway,
    };
  });

  await timeline.step('wrong-code-refused', 20_000, async () => {
    const before = wire.sent();
    const refused = await stage.login(stage.wrongCode());
    expect(
      refused.code === 1,
      `login with a wrong code ended with status ${refused.code}: ${refused.stdout}`,
    );
    const { code } = (JSON.parse(refused.stdout) as { error: { code: string } }).error;
    const peers = await stage.gatewayPeers();
    expect(code === 'denied' && peers === 0, `error ${code}, ${peers} peers on the gateway`);
    await stage.knock();
    const { gateway } = wire.since(before);
    expect(gateway === 0, `the gateway sent ${gateway} datagrams`);
    return {
      says: `refused as "${code}"; the gateway has ${peers} peers and sent ${gateway} datagrams`,
      code,
      peers,
      answers: gateway,
    };
  });

  let sessionId = '';
  let wireBefore = wire.sent();
  let login = { session: '', handshakeMs: 0 };
  await timeline.step('mfa-ok', 20_000, async () => {
    wireBefore = wire.sent();
    const answered = await stage.login(stage.code()).then(succeeded);
    login = JSON.parse(answered.stdout) as typeof login;
    sessionId = login.session;
    return { says: `code accepted, PSK unsealed on the client: session ${sessionId}`, session: sessionId };
  });

  const stopRefreshing = stage.keepFresh();
  await timeline.step('grant-acked', 10_000, async () => {
    const peers = await stage.gatewayPeers();
    const session = await stage.session(sessionId);
    expect(peers === 1, `${peers} peers on the gateway`);
    expect(session?.live === true, `Core does not show ${sessionId} as live`);
    return { says: 'the gateway acknowledged before the client heard of success; it has 1 peer', peers };
  });

  await timeline.step('handshake', 10_000, async () => {
    const { client, gateway } = wire.since(wireBefore);
    expect(client >= 2 && gateway >= 1, `${client} datagrams to the gateway, ${gateway} back`);
    const ms = round(login.handshakeMs);
    return {
      says: `initiation, response, first packet: ${ms} ms after the PSK was in place`,
      handshakeMs: ms,
      toGateway: client,
      fromGateway: gateway,
    };
  });

  await timeline.step('traffic', 60_000, async () => {
    const ping = await stage.ping(50, 10);
    expect(ping.answered >= 48, `${ping.answered} of ${ping.sent} pings came back`);
    const lan = world.counters('lan', 'to-gateway').rxBytes;
    const { ok, ms, up } = await stage.transfer(transferBytes);
    expect(ok, 'a checksum of the transfer differs');
    const counted = world.counters('lan', 'to-gateway').rxBytes - lan;
    expect(counted > transferBytes, `only ${counted} bytes were counted at the LAN host`);
    const mbits = round((2 * 8 * transferBytes) / ms / 1000);
    return {
      says: `ping ${ping.answered}/${ping.sent}; 20 MiB up and 20 MiB down, SHA-256 equal, ${mbits} Mbit/s`,
      pings: ping.answered,
      bytes: 2 * transferBytes,
      sha256: up,
      mbits,
    };
  });

  await timeline.step('core-killed-traffic-continues', 40_000, async () => {
    const pid = stage.core!.pid;
    await stage.core!.kill();
    expect(!existsSync(`/proc/${pid}`), 'Core is still there');
    const lan = world.counters('lan', 'to-gateway').rxPackets;
    const ping = await stage.ping(100, 10);
    const { ok } = await stage.transfer(2 * 1024 * 1024);
    const packets = world.counters('lan', 'to-gateway').rxPackets - lan;
    expect(
      ok && ping.answered >= 95,
      `${ping.answered} of ${ping.sent} pings came back, transfer ${ok ? 'whole' : 'broken'}`,
    );
    return {
      says: `Core killed (SIGKILL ${pid}); ping ${ping.answered}/${ping.sent}, transfer whole, ${packets} packets at the LAN host`,
      pings: ping.answered,
      packets,
    };
  });

  await timeline.step('core-back', 60_000, async () => {
    stage.startCore();
    await stage.untilAnswered();
    await stage.untilAgent(true);
    const session = await until('the session to be known again', 10_000, () => stage.session(sessionId));
    expect(session.live, `Core says session ${sessionId} has ended: ${session.reason}`);
    const peers = await stage.gatewayPeers();
    const ping = await stage.ping(20, 10);
    expect(peers === 1 && ping.answered >= 18, `${peers} peers, ${ping.answered} of ${ping.sent} pings`);
    return {
      says: `the gateway came back to it by itself; same session, no new login, ping ${ping.answered}/${ping.sent}`,
      session: sessionId,
      pings: ping.answered,
    };
  });

  const patienceMs = options.staleAfter * 1000;
  await timeline.step('stale-logout', patienceMs + 60_000, async () => {
    // A host behind the gateway keeps sending, so the gateway has a packet for the client every 10 ms until it lets go.
    await stopRefreshing();
    const handshakeAt = await stage.freshHandshake();
    await stage.streamToClient(10);
    const watch = world.watch('gateway', 'to-client', 'txPackets');
    const { pid: daemon } = await stage.clientStatus();
    process.kill(daemon, 'SIGSTOP');
    try {
      await sleep(200);
      expect(watch.packets > 5, 'the gateway does not forward to the client');
      await sleep(Math.max(0, handshakeAt + patienceMs - 1000 - now()));
      await until('the gateway to drop its peer', 30_000, async () => (await stage.gatewayPeers()) === 0, 3);
      const delayMs = round(now() - handshakeAt);
      await sleep(500);
      await stage.streamsStop();
      watch.stop();
      const lastPacketMs = round(watch.lastAt - handshakeAt);
      expect(
        lastPacketMs <= delayMs + 10,
        `a packet left ${lastPacketMs} ms after the handshake, the peer went at ${delayMs}`,
      );
      const ended = await until('Core to hear of it', 10_000, async () => {
        const session = await stage.session(sessionId);
        return session !== null && !session.live ? session : null;
      });
      expect(ended.reason === 'stale', `the session ended as ${ended.reason}`);
      const lateMs = delayMs - patienceMs;
      expect(
        Math.abs(lateMs) < 1000,
        `the peer went ${delayMs} ms after the handshake instead of ${patienceMs}`,
      );
      const seconds = (ms: number): string => (ms / 1000).toFixed(3);
      return {
        says: `client frozen; peer removed ${seconds(delayMs)} s after its last handshake, last packet to it at ${seconds(lastPacketMs)} s (limit ${options.staleAfter} s), reason "stale"`,
        staleAfterMs: patienceMs,
        delayMs,
        lastPacketMs,
        reason: 'stale',
      };
    } finally {
      process.kill(daemon, 'SIGCONT');
    }
  });

  await timeline.step('traffic-stopped', 20_000, async () => {
    const peers = await stage.gatewayPeers();
    const before = wire.sent();
    const lan = world.watch('lan', 'to-gateway', 'rxPackets');
    await stage.streamToClient(10);
    const ping = await stage.ping(50, 10);
    await stage.streamsStop();
    const { client, gateway } = wire.since(before);
    const passed = lan.stop();
    expect(
      peers === 0 && gateway === 0 && passed === 0 && ping.answered === 0,
      `${peers} peers, ${gateway} datagrams from the gateway, ${passed} packets at the LAN host`,
    );
    const told = await until('the client to learn of it', 10_000, async () => {
      const { session } = await stage.clientStatus();
      return session.phase === 'ended' ? session : null;
    });
    expect(told.reason === 'stale', `the client was told ${told.reason}`);
    return {
      says: `${client} datagrams knocked, 0 came back, 0 packets at the LAN host; the client knows: "${told.reason}"`,
      toGateway: client,
      fromGateway: gateway,
      atLan: passed,
    };
  });

  await timeline.step('login-again', 40_000, async () => {
    const answered = await stage.login(stage.code()).then(succeeded);
    sessionId = (JSON.parse(answered.stdout) as { session: string }).session;
    const ping = await stage.ping(20, 10);
    expect(ping.answered >= 18, `${ping.answered} of ${ping.sent} pings came back`);
    return {
      says: `session ${sessionId}, ping ${ping.answered}/${ping.sent}`,
      session: sessionId,
      pings: ping.answered,
    };
  });

  await timeline.step('admin-revoke', 30_000, async () => {
    await stage.streamToLan(10);
    await stage.streamToClient(10);
    const toLan = world.watch('lan', 'to-gateway', 'rxPackets');
    const toClient = world.watch('gateway', 'to-client', 'txPackets');
    await until(
      'both streams of 100 packets/s to flow',
      10_000,
      () => toLan.packets > 50 && toClient.packets > 50,
    );
    const { askedAt, ackedAt } = await stage.revoke(sessionId);
    await sleep(1500);
    const [lanAt, clientAt] = [toLan.lastAt, toClient.lastAt];
    const after = [toLan.packets, toClient.packets];
    await sleep(500);
    expect(toLan.stop() === after[0] && toClient.stop() === after[1], 'packets still pass');
    await stage.streamsStop();
    // Both clocks tick in milliseconds here; a packet just before the order is a delay of nothing.
    const delayMs = round(Math.max(0, lanAt - askedAt, clientAt - askedAt));
    expect(delayMs < 1000, `the last packet passed ${delayMs} ms after the order`);
    const session = await stage.session(sessionId);
    const told = await until('the client to learn of it', 10_000, async () => {
      const status = await stage.clientStatus();
      return status.session.phase === 'ended' ? status.session : null;
    });
    expect(told.reason === 'revoked-admin' && session?.live === false, `the client was told ${told.reason}`);
    return {
      says: `100 packets/s each way; the last one passed ${delayMs} ms after the order (acknowledged in ${round(ackedAt - askedAt)} ms); the client was told "${told.reason}"`,
      delayMs,
      ackMs: round(ackedAt - askedAt),
      lastToLanMs: round(lanAt - askedAt),
      lastToClientMs: round(clientAt - askedAt),
      reason: 'revoked-admin',
    };
  });
}

function succeeded<T extends { code: number; stdout: string; stderr: string }>(result: T): T {
  expect(
    result.code === 0,
    `a command ended with status ${result.code}: ${result.stderr.trim() || result.stdout.trim()}`,
  );
  return result;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}

async function wait(stage: Stage): Promise<void> {
  timeline.note(
    `\nStill running in namespaces ${stage.world.prefix}-{client,gateway,lan,office,server}; files in ${stage.world.dir}`,
  );
  timeline.note(`  nsenter --net=/run/netns/${stage.world.prefix}-client ping ${address.lan}`);
  timeline.note('Ctrl-C ends it and cleans up.');
  await new Promise(() => setInterval(() => {}, 60_000));
}

/** Once, however many ask: a second Ctrl-C must not cut the first one's cleaning short. */
function over(): Promise<void> {
  ending ??= stage?.close() ?? Promise.resolve();
  return ending;
}

function complain(error: unknown): void {
  const reason =
    error instanceof StepFailed
      ? ''
      : `scripts/demo: ${error instanceof Error ? error.message : String(error)}\n`;
  process.stderr.write(reason);
  if (stage === null) return;
  for (const actor of [stage.core, stage.proxy, stage.agent])
    if (actor !== null)
      process.stderr.write(
        `--- last lines of ${actor.name}${actor.isRunning ? '' : ' (ended)'}:\n${actor.lastWords}\n`,
      );
}

function arguments_(): { json: boolean; keep: boolean; staleAfter: number; program: string } {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean' },
        keep: { type: 'boolean' },
        'stale-after': { type: 'string' },
        program: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
    if (values.help === true) {
      process.stdout.write(
        'usage: scripts/demo [--json] [--keep] [--stale-after SECONDS] [--program FILE]\n',
      );
      process.exit(0);
    }
    const staleAfter = Number(values['stale-after'] ?? '10');
    if (!Number.isInteger(staleAfter) || staleAfter < 5 || staleAfter > 180)
      throw new Error('--stale-after must be 5 to 180 seconds');
    return {
      json: values.json === true,
      keep: values.keep === true,
      staleAfter,
      program: values.program ?? built,
    };
  } catch (error) {
    process.stderr.write(
      `scripts/demo: ${error instanceof Error ? error.message.split('. ')[0] : String(error)}\n`,
    );
    process.exit(2);
  }
}
