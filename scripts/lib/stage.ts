// The stage: the topology of the demo with its roles as real programs.
//
//   client ──192.0.2.0/24── gateway ──10.99.0.0/24── lan        tunnel: 10.66.0.0/24, gateway .1
//      │                       │  └────10.98.0.0/24── office
//      │                       │
//      └──198.51.100.0/24──┐   └──203.0.113.0/24──┐
//                        server (Core, Proxy; two legs)
//
// The links from client to gateway and from gateway to lan carry nothing but what programs under test send (see World.join),
// so their counters are evidence. `office` sends into the tunnel unasked, and is where the gateway's ICMP errors about that
// end up, so that at `lan` every packet that arrives came from the client. Knows the roles only from outside: their commands, files and sockets.

import { closeSync, existsSync, openSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ask } from '../../src/client/daemon/socket.ts';
import { Store } from '../../src/client/state.ts';
import { askCore, socketPath } from '../../src/core/admin/socket.ts';
import { Hopeless, now, run, until, World } from './world.ts';
import type { Actor, Finished } from './world.ts';
import { selfSigned } from './certificate.ts';
import { stepNow, totp } from './totp.ts';

export const address = {
  client: '192.0.2.2',
  gateway: '192.0.2.1',
  clientToServer: '198.51.100.2',
  proxy: '198.51.100.1',
  gatewayToServer: '203.0.113.2',
  core: '203.0.113.1',
  gatewayToLan: '10.99.0.1',
  lan: '10.99.0.2',
  gatewayToOffice: '10.98.0.1',
  office: '10.98.0.2',
  inner: '10.66.0.1',
  inner6: 'fd66::1',
  /** With `fullTunnel`, behind the client's default route: the Proxy, and an unrelated host. */
  farProxy: '198.18.0.1',
  far: '198.18.0.2',
} as const;

export interface StageOptions {
  /** Seconds. */
  readonly staleAfter: number;
  /** The program with all roles: the bundle, or src/main.ts. */
  readonly program: string;
  readonly logLevel?: 'info' | 'debug';
  /** Begins the names of namespaces and directories. */
  readonly prefix?: string;
  /** The location is the way to everywhere, and neither Proxy nor gateway is a neighbour of the client's. */
  readonly fullTunnel?: boolean;
}

export class Stage {
  readonly world: World;
  readonly #options: StageOptions;
  readonly tunDevice: string;
  core: Actor | null = null;
  proxy: Actor | null = null;
  agent: Actor | null = null;
  #seed = '';
  #lastStep = 0;
  #recovery: string[] = [];
  #certificate = '';

  /** Namespaces, links and files; no role runs yet. */
  static async build(options: StageOptions): Promise<Stage> {
    const world = new World(options.prefix ?? 'sp');
    try {
      const tunDevice = await usableTun(world);
      const stage = new Stage(world, options, tunDevice);
      await stage.#network();
      stage.#files();
      return stage;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  private constructor(world: World, options: StageOptions, tunDevice: string) {
    this.world = world;
    this.#options = options;
    this.tunDevice = tunDevice;
  }

  get gatewayInterface(): string {
    return `${this.world.prefix}g`;
  }

  get clientInterface(): string {
    return `${this.world.prefix}c`;
  }

  get clientDir(): string {
    return this.path('client');
  }

  get deviceFile(): string {
    return new Store(this.clientDir).file;
  }

  /** The client's address inside the tunnel. */
  get innerClient(): string {
    const [location] = new Store(this.clientDir).load().enrolled.locations;
    return location!.config.addresses[0]!.split('/')[0]!;
  }

  /** Options of `up` and `login` for the tunnel itself. */
  get tunnelOptions(): string[] {
    const level = this.#options.logLevel ?? 'info';
    return ['--interface', this.clientInterface, '--tun-device', this.tunDevice, '--log-level', level];
  }

  get #proxyAddress(): string {
    return this.#options.fullTunnel === true ? address.farProxy : address.proxy;
  }

  get #gatewayAddress(): string {
    return this.#options.fullTunnel === true ? address.gatewayToServer : address.gateway;
  }

  get #proxyUrl(): string {
    return `https://${this.#proxyAddress}:${ports.https}`;
  }

  path(name: string): string {
    return join(this.world.dir, name);
  }

  /** A file only we can read: how secrets reach a program. */
  write(name: string, text: string): string {
    const path = this.path(name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  startCore(): void {
    this.core = this.#actor('core', 'server', ['core', '--config', this.path('core.toml')]);
  }

  startProxy(): void {
    this.proxy = this.#actor('proxy', 'server', ['proxy', '--config', this.path('proxy.toml')]);
  }

  /** A second gateway, of this location or another one, on the same machine at another port. */
  async startSecondAgent(location = 'Office'): Promise<Actor> {
    const endpoint = `${address.gateway}:${ports.wireguard2}`;
    const { token } = (await this.admin('agent', 'token', location, '--endpoint', endpoint)) as {
      token: string;
    };
    this.write('join-token2', token);
    this.write('agent2.toml', this.#agentToml('2', ports.wireguard2));
    return this.#actor('agent2', 'gateway', ['agent', '--config', this.path('agent2.toml')]);
  }

  startAgent(): void {
    this.agent = this.#actor('agent', 'gateway', ['agent', '--config', this.path('agent.toml')]);
  }

  /** A client's request gets through Proxy and Core; what Core said to this one, which asks for nothing. */
  async untilAnswered(): Promise<string> {
    const call = {
      method: 'POST',
      url: `${this.#proxyUrl}/api/v1/mfa/start`,
      body: '{}',
      ca: this.#certificate,
    };
    return await until('Core to answer through the Proxy', 20_000, async () => {
      this.#mustRun(this.core, this.proxy);
      const { status, body } = await this.world.probe('client').http(call);
      const code = (JSON.parse(body) as { error?: { code?: string } }).error?.code;
      return status === 400 && code !== undefined ? `${status} ${code}` : null;
    });
  }

  /** A location, a person with an authenticator and recovery codes, and a join token for the gateway. */
  async prepare(): Promise<void> {
    const stale = this.#options.staleAfter;
    const policy = stale < 180 ? `dangerouslyShortStaleAfter = ${stale}` : `staleAfter = ${stale}`;
    const allowedIps =
      this.#options.fullTunnel === true
        ? ['0.0.0.0/0', '::/0']
        : ['10.66.0.0/24', 'fd66::/64', '10.99.0.0/24', '10.98.0.0/24'];
    const file = this.write(
      'declared.toml',
      `[[location]]\nname = "Office"\nnetwork = "10.66.0.0/24"\nnetwork6 = "fd66::/64"\nendpoint = "${this.#gatewayAddress}:${ports.wireguard}"\n` +
        `allowedIps = ${JSON.stringify(allowedIps)}\nsteps = [["totp", "recovery"]]\n[location.policy]\n${policy}\n` +
        `[[user]]\nname = "ada"\n`,
    );
    const applied = await this.#run('server', ['core', 'apply', file, '--data', this.path('core')]);
    if (applied.code !== 0) throw new Error(`core apply: ${applied.stderr.trim()}`);
    this.#seed = ((await this.admin('user', 'totp', 'ada')) as { secret: string }).secret;
    this.#recovery = ((await this.admin('user', 'recovery', 'ada')) as { codes: string[] }).codes;
    this.write('join-token', ((await this.admin('agent', 'token', 'Office')) as { token: string }).token);
  }

  /** What `sallyport core …` would answer with --json, asked at Core's socket without the start of a program. */
  async admin(...args: string[]): Promise<unknown> {
    const said = await askCore(socketPath(this.path('core')), args);
    if (said === null) throw new Error('Core is not running');
    return said.data;
  }

  async untilAgent(isConnected: boolean): Promise<string> {
    return await until(`the gateway to be ${isConnected ? 'connected' : 'away'}`, 40_000, async () => {
      this.#mustRun(this.agent, this.core);
      const agents = (await this.admin('agent', 'list')) as { name: string; connected: boolean }[];
      return agents.find(agent => agent.connected === isConnected)?.name;
    });
  }

  /** `sallyport enrol` with a one-time token. */
  async enrol(): Promise<{ user: string; device: string }> {
    const { token } = (await this.admin('device', 'token', 'ada')) as { token: string };
    const file = this.write('enrol-token', token);
    const args = [
      '--proxy',
      this.#proxyUrl,
      '--ca',
      this.path('tls.crt'),
      '--token-file',
      file,
      '--name',
      'laptop',
    ];
    const { code, stdout, stderr } = await this.client(['enrol', '--json', ...args]);
    if (code !== 0) throw new Error(`enrol: ${stderr.trim() || stdout.trim()}`);
    const { user, device } = JSON.parse(stdout) as { user: string; device: string };
    return { user, device };
  }

  async session(id: string): Promise<{ live: boolean; reason: string | null } | null> {
    const sessions = (await this.admin('session', 'list', '--all')) as {
      id: string;
      status: string;
      reason: string | null;
    }[];
    const found = sessions.find(session => session.id === id);
    return found === undefined ? null : { live: found.status === 'active', reason: found.reason };
  }

  /** An administrator's order; when it was given and when Core had taken it. */
  async revoke(id: string): Promise<{ askedAt: number; ackedAt: number }> {
    const askedAt = now();
    await this.admin('session', 'revoke', id);
    return { askedAt, ackedAt: now() };
  }

  /** `sallyport …` as the person at the client. */
  async client(args: string[], stdin = ''): Promise<Finished> {
    return await this.#run('client', [...args, '--state', this.clientDir], stdin);
  }

  /** Datagrams each side put on the wire between client and gateway; nothing else travels there. */
  wire(): { sent(): Sent; since(before: Sent): Sent } {
    const sent = (): Sent => ({
      client: this.world.counters('client', 'to-gateway').txPackets,
      gateway: this.world.counters('gateway', 'to-client').txPackets,
    });
    const since = (before: Sent): Sent => {
      const after = sent();
      return { client: after.client - before.client, gateway: after.gateway - before.gateway };
    };
    return { sent, since };
  }

  /** One packet from the client into the tunnel, to see whether a handshake starts. */
  async knock(): Promise<void> {
    await this.world.exec('client', ['ping', '-c', '1', '-W', '1', address.lan]);
  }

  async ping(count: number, everyMs: number): Promise<{ sent: number; answered: number }> {
    const argv = ['ping', '-q', '-c', String(count), '-i', String(everyMs / 1000), '-W', '1', address.lan];
    const { stdout, stderr } = await this.world.exec('client', argv);
    const match = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
    if (!match) throw new Error(`ping: ${stderr.trim() || stdout.trim()}`);
    return { sent: Number(match[1]), answered: Number(match[2]) };
  }

  async transfer(bytes: number): Promise<{ ok: boolean; ms: number; up: string }> {
    return await this.world.probe('client').transfer(address.lan, ports.transfer, bytes, 60_000);
  }

  async streamToLan(everyMs: number): Promise<void> {
    await this.world.probe('client').stream(address.lan, ports.datagrams, everyMs);
  }

  /** To the client's inner address: into the tunnel from the far side. */
  async streamToClient(everyMs: number): Promise<void> {
    await this.world.probe('office').stream(this.innerClient, ports.datagrams, everyMs);
  }

  async streamsStop(): Promise<void> {
    await this.world.probe('office').streamStop();
    await this.world.probe('client').streamStop();
  }

  /** Peers on the gateway's interface, asked as `wg` would. */
  async gatewayPeers(): Promise<number> {
    return (await this.uapi()).split('\n').filter(line => line.startsWith('public_key=')).length;
  }

  /** The gateway's interface as the UAPI shows it, keys included. */
  async uapi(): Promise<string> {
    return await uapiGet(join(this.path('agent-uapi'), `${this.gatewayInterface}.sock`));
  }

  /** Asks the running client for a new handshake; when the gateway had the packet that completes it. */
  async freshHandshake(): Promise<number> {
    const watch = this.world.watch('gateway', 'to-client', 'rxPackets');
    await this.rekey();
    // Initiation, then the first packet under the new key: that one confirms it (whitepaper, section 5.4.6).
    await until('a fresh handshake', 10_000, () => watch.packets >= 2, 2);
    watch.stop();
    return watch.seen.find(({ packets }) => packets >= 2)!.at;
  }

  /**
   * WireGuard shakes hands every two minutes, so under a limit of seconds a living session would end between two
   * handshakes. This keeps it young until the returned function is called.
   */
  keepFresh(): () => Promise<void> {
    const everyMs = this.#options.staleAfter * 300;
    let rekeying = Promise.resolve();
    const timer = setInterval(() => (rekeying = this.rekey().catch(() => {})), everyMs);
    return async () => {
      clearInterval(timer);
      await rekeying;
    };
  }

  async rekey(): Promise<void> {
    const reply = await ask(this.#socket(), { op: 'rekey' });
    if (reply === null) throw new Error("the client's tunnel is not running");
  }

  async clientStatus(): Promise<ClientStatus> {
    const reply = await ask(this.#socket(), { op: 'status' });
    if (reply === null) throw new Error("the client's tunnel is not running");
    return reply as unknown as ClientStatus;
  }

  /** A code of the person's authenticator that Core has not seen yet, or else a recovery code. */
  code(): string {
    // Core takes one step ahead of its clock, and none twice.
    const step = Math.max(stepNow(), this.#lastStep + 1);
    if (step > stepNow() + 1) return this.#recovery.pop()!;
    this.#lastStep = step;
    return totp(this.#seed, step);
  }

  wrongCode(): string {
    const right = [-1, 0, 1].map(offset => totp(this.#seed, stepNow() + offset));
    return ['000000', '111111', '222222', '333333'].find(code => !right.includes(code))!;
  }

  async login(code: string): Promise<Finished> {
    const file = this.write('code', `${code}\n`);
    return await this.client(['login', '--json', '--code-file', file, ...this.tunnelOptions]);
  }

  /** `down` first: the client's tunnel is a background process of its own. */
  async close(): Promise<void> {
    await this.world.close();
  }

  async #network(): Promise<void> {
    const { world } = this;
    for (const space of ['client', 'gateway', 'lan', 'office', 'server']) await world.space(space);
    await world.join('client', address.client, 'gateway', address.gateway, { quiet: true });
    await world.join('lan', address.lan, 'gateway', address.gatewayToLan, { quiet: true });
    await world.join('client', address.clientToServer, 'server', address.proxy);
    await world.join('gateway', address.gatewayToServer, 'server', address.core);
    await world.sysctl('gateway', 'net/ipv4/ip_forward', '1');
    await world.join('office', address.office, 'gateway', address.gatewayToOffice, { quiet: true });
    await world.ip('lan', 'route', 'add', 'default', 'via', address.gatewayToLan);
    await world.ip('office', 'route', 'add', 'default', 'via', address.gatewayToOffice);
    if (this.#options.fullTunnel === true) await this.#farAway();
    await world.probe('lan').serve(address.lan, ports.transfer);
    await world.probe('lan').listen(address.lan, ports.datagrams);
  }

  async #farAway(): Promise<void> {
    const { world } = this;
    for (const far of [address.farProxy, address.far]) {
      await world.ip('server', 'addr', 'add', `${far}/32`, 'dev', 'lo');
      await world.ip('gateway', 'route', 'add', far, 'via', address.core);
    }
    // So is the gateway, and the client's kernel takes no packet that comes another way than the answer would go.
    await world.ip('client', 'route', 'add', 'default', 'via', address.proxy);
    await world.ip('gateway', 'route', 'add', '198.51.100.0/24', 'via', address.core);
    await world.sysctl('server', 'net/ipv4/ip_forward', '1');
    await world.sysctl('client', 'net/ipv4/conf/all/rp_filter', '1');
    await world.ip('server', 'route', 'add', '10.66.0.0/24', 'via', address.gatewayToServer);
  }

  #files(): void {
    const { cert, key } = selfSigned([this.#proxyAddress, address.core]);
    this.#certificate = cert;
    this.write('tls.crt', cert);
    this.write('tls.key', key);
    this.write('proxy-token', randomBytes(32).toString('base64url'));
    this.write(
      'core.toml',
      this.#toml({
        data: this.path('core'),
        agentsListen: `${address.core}:${ports.agents}`,
        agentsTlsCert: this.path('tls.crt'),
        agentsTlsKey: this.path('tls.key'),
        proxy: [`wss://${address.core}:${ports.relay}`],
        proxyTokenFile: this.path('proxy-token'),
        proxyCa: this.path('tls.crt'),
      }),
    );
    this.write(
      'proxy.toml',
      this.#toml({
        listen: `${this.#proxyAddress}:${ports.https}`,
        coreListen: `${address.core}:${ports.relay}`,
        coreTokenFile: this.path('proxy-token'),
        tlsCert: this.path('tls.crt'),
        tlsKey: this.path('tls.key'),
      }),
    );
    this.write('agent.toml', this.#agentToml('', ports.wireguard));
  }

  /** `which`: nothing, or what tells the second gateway's files from the first one's. */
  #agentToml(which: string, port: number): string {
    return this.#toml({
      core_url: `https://${address.core}:${ports.agents}`,
      ca_file: this.path('tls.crt'),
      join_token: `file:${this.path(`join-token${which}`)}`,
      name: `gate-${which || '1'}`,
      state_dir: this.path(`agent${which}`),
      run_dir: this.path(`agent-run${which}`),
      uapi_dir: this.path(`agent-uapi${which}`),
      ifname: `${this.gatewayInterface}${which}`,
      listen_port: port,
      min_stale: `${Math.min(180, this.#options.staleAfter)}s`,
      tun_device: this.tunDevice,
      ...(which !== '' && { metrics_listen: 'off' }),
    });
  }

  #toml(values: Record<string, string | number | boolean | string[]>): string {
    const level = this.#options.logLevel ?? 'info';
    return Object.entries({ ...values, [logLevelKey(values)]: level })
      .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
      .join('');
  }

  #socket(): string {
    const store = new Store(this.clientDir);
    return store.socketFile(store.load().enrolled.locations[0]!);
  }

  #mustRun(...actors: (Actor | null)[]): void {
    for (const actor of actors)
      if (actor !== null && !actor.isRunning)
        throw new Hopeless(`${actor.name} has ended: ${actor.lastWords}`);
  }

  #actor(name: string, space: string, args: string[]): Actor {
    return this.world.actor(name, space, [process.execPath, this.#options.program, ...args]);
  }

  async #run(space: string, args: string[], stdin = ''): Promise<Finished> {
    return await this.world.exec(space, [process.execPath, this.#options.program, ...args], {
      stdin,
      timeoutMs: 30_000,
    });
  }
}

export type Sent = { readonly client: number; readonly gateway: number };
export type ClientStatus = {
  readonly pid: number;
  readonly interface: string;
  readonly endpoint: string | null;
  readonly handshakeAgeMs: number | null;
  readonly session: { readonly phase: string; readonly reason?: string; readonly following: boolean };
};

const ports = {
  transfer: 5001,
  datagrams: 5002,
  wireguard: 51820,
  wireguard2: 51821,
  https: 8443,
  relay: 8444,
  agents: 8445,
} as const;
// The agent's options are spelt as in UCI, the servers' as in TOML.
function logLevelKey(values: object): string {
  return 'core_url' in values ? 'log_level' : 'logLevel';
}

function uapiGet(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write('get=1\n\n'));
    let text = '';
    socket.setTimeout(5000, () => socket.destroy(new Error(`${path}: no answer`)));
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      text += part;
      if (!text.endsWith('\n\n')) return;
      socket.destroy();
      resolve(text);
    });
    socket.once('error', reject);
  });
}

/** /dev/net/tun, or as root a node of our own where that one is missing or closed. */
async function usableTun(world: World): Promise<string> {
  const node = '/dev/net/tun';
  if (opens(node)) return node;
  const own = join(world.dir, 'tun');
  const made = await run(['mknod', '-m', '0666', own, 'c', '10', '200']);
  if (made.code === 0 && opens(own)) return own;
  throw new Error(
    existsSync(node)
      ? `${node} cannot be opened: run 'sudo chmod 0666 ${node}', its usual mode`
      : `there is no ${node}: run 'sudo modprobe tun', or give this container the device`,
  );
}

function opens(path: string): boolean {
  try {
    closeSync(openSync(path, 'r+'));
    return true;
  } catch {
    return false;
  }
}
