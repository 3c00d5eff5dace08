// `sallyport core`: the server, and the administrator's commands. Commands are answered by the running Core over its unix
// socket; when none is running they work on the store directly.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { parse } from 'smol-toml';
import { createLog, levelOf, silentLog } from '../control/log.ts';
import type { Log } from '../control/log.ts';
import { listenForStatus } from '../control/wire/statuslistener.ts';
import { untilStopped } from '../control/wire/server.ts';
import type { TlsFiles } from '../control/wire/server.ts';
import { isLoopback, listenAddress, readSettings, tlsFiles, textFile } from '../control/settings.ts';
import type { Settings } from '../control/settings.ts';
import { errorText, PlainError, usageError } from '../util/errors.ts';
import { atEnd } from '../util/scope.ts';
import { nouns } from './admin/admin.ts';
import type { Said } from './admin/verb.ts';
import { Core } from './core.ts';
import { Mailer, mailServer } from './methods/mailer.ts';
import { Sessions } from './sessions/sessions.ts';
import { askCore, execute, serveAdmin, socketPath } from './admin/socket.ts';
import { SteadyClock } from './steadyclock.ts';
import { lockDirectory } from './store/lock.ts';
import { openStore } from './store/store.ts';
import type { Store } from './store/store.ts';

export const specs = {
  data: 'text',
  'key-file': 'text',
  'agents-listen': 'text',
  'agents-tls-cert': 'text',
  'agents-tls-key': 'text',
  proxy: 'list',
  'proxy-token': 'secret',
  'proxy-ca': 'text',
  'metrics-listen': 'text',
  smtp: 'text',
  'smtp-user': 'text',
  'smtp-password': 'secret',
  'smtp-ca': 'text',
  'mail-from': 'text',
  'log-level': 'text',
  insecure: 'switch',
} as const;

/** Settings that matter to commands, too; they may stand anywhere among the words. */
const commandFlags = new Set(['--config', '--data', '--key-file']);
const defaultData = '/var/lib/sallyport';

const usage = `usage: sallyport core [--config FILE] [--data DIR] --agents-listen ADDRESS:PORT
           [--agents-tls-cert FILE --agents-tls-key FILE]
           [--proxy ws://HOST:PORT]... [--proxy-token-file FILE] [--proxy-ca FILE]
           [--smtp smtp://HOST:587|smtps://HOST:465 --mail-from ADDRESS] [--smtp-user NAME --smtp-password-file FILE] [--smtp-ca FILE]
           [--metrics-listen ADDRESS:PORT] [--key-file FILE] [--log-level LEVEL] [--insecure]
       sallyport core [--data DIR] [--json] NOUN VERB ...
           user      add NAME [--groups G,G] [--email ADDRESS] | list | totp NAME [--end-sessions] | recovery NAME [--end-sessions] | groups NAME G,G | email NAME ADDRESS | enable | disable | unlock | remove NAME | rename NAME NEW
           device    token USER [--hours N] | list [USER] | enable | disable | remove ID
           location  add NAME --network PREFIX [OPTION ...] | set NAME OPTION ... | list | remove NAME | rename NAME NEW
           agent     token LOCATION [--endpoint HOST:PORT] [--hours N] | list | remove ID
           session   list [--all] | revoke ID | revoke --device ID|KEY | revoke --user NAME
           lock      list | lift KEY|NAME|ADDRESS
           audit     show [--limit N] | verify [--checkpoint LINE] | checkpoint
           apply FILE [--dry-run] [--prune]
options of a location (an empty value takes one back):
  --network PREFIX  --network6 PREFIX   where devices have their addresses; the first is the gateway's
  --endpoint HOST:PORT                  where clients reach the gateway, unless an agent has its own
  --allowed-ips PREFIX,...              what clients send into the tunnel; the networks unless told otherwise
  --dns ADDRESS,...                     where clients look names up while logged in
  --mtu BYTES  --keepalive SECONDS      1420 and 25 unless told otherwise
  --groups GROUP,...                    who may use it; everybody unless told otherwise
  --steps totp/recovery                 steps of a login; "totp,recovery" is one step with a choice, as it is unless told otherwise
  --allow-x25519                        accept clients without the hybrid KEM: no post-quantum secrecy; =false ends it
  --stale-after --idle-after --max-life --lease --claim-within --offline-grace SECONDS
  --on-roam ignore|reauth  --ack one|all`;

export async function run(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(usage + '\n');
    return 0;
  }
  try {
    const { own, words, json } = separate(args);
    if (words.length === 0) return await serve(args);
    const said = await command(own, words);
    process.stdout.write((json ? JSON.stringify(said.data) : said.text) + '\n');
    return 0;
  } catch (error) {
    process.stderr.write(`sallyport core: ${errorText(error)}\n`);
    return error instanceof PlainError ? error.exit : 1;
  }
}

/** Splits our own settings from the words of a command; no words means: serve. */
function separate(args: readonly string[]): { own: string[]; words: string[]; json: boolean } {
  const own: string[] = [];
  const words: string[] = [];
  let json = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (commandFlags.has(arg.split('=')[0]!))
      own.push(arg, ...(arg.includes('=') ? [] : args.slice(++i, i + 1)));
    else if (arg === '--json') json = true;
    else words.push(arg);
  }
  return words[0] !== undefined && !words[0].startsWith('--')
    ? { own, words, json }
    : { own, words: [], json };
}

async function command(own: readonly string[], words: readonly string[]): Promise<Said> {
  const noun = words[0]!;
  if (noun !== 'apply' && !nouns.includes(noun))
    throw usageError(
      'unknown-noun',
      `unknown command "${noun}"; known are ${nouns.join(', ')}, apply (see --help)`,
    );
  const settings = readSettings('core', specs, {
    args: own,
    env: process.env,
    parseFile: text => parse(text),
  });
  const directory = settings.data ?? defaultData;
  const args = noun === 'apply' ? ['apply', ...withText(words.slice(1))] : words;
  const answered = existsSync(socketPath(directory)) ? await askCore(socketPath(directory), args) : null;
  if (answered !== null) return answered;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const unlock = lockDirectory(directory);
  const store = openStore(directory, settings['key-file']);
  using _end = atEnd(() => {
    store.close();
    unlock();
  });
  const scope = { store, clock: Date.now, random: randomly };
  return execute({ ...scope, sessions: new Sessions({ ...scope, log: silentLog }) }, args);
}

/** `apply` reads the file here, with the rights of the user of the command. */
function withText(words: readonly string[]): string[] {
  const path = words.find(word => !word.startsWith('--'));
  if (path === undefined)
    throw usageError('arguments', 'usage: sallyport core apply FILE [--dry-run] [--prune]');
  try {
    return [path, readFileSync(path, 'utf8'), ...words.filter(word => word !== path)];
  } catch (cause) {
    throw usageError('no-file', `cannot read ${path}`, cause);
  }
}

async function serve(args: readonly string[]): Promise<number> {
  const warnings: string[] = [];
  const settings = readSettings('core', specs, {
    args,
    env: process.env,
    parseFile: text => parse(text),
    warn: line => warnings.push(line),
  });
  const log = createLog({ area: 'core', level: levelOf(settings['log-level']) });
  for (const line of warnings) log.warn(line);
  const agentsAt = listenAddress('agents-listen', settings['agents-listen'] ?? '127.0.0.1:8445');
  const readTls = (): TlsFiles | undefined =>
    tlsFiles('agents-tls', settings['agents-tls-cert'], settings['agents-tls-key']);
  const tls = readTls();
  checkPlain(settings, agentsAt.host, tls !== undefined);
  const mailer = mailerOf(settings, log);
  const directory = settings.data ?? defaultData;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  lockDirectory(directory); // to the end of the process
  const store = openStore(directory, settings['key-file']);
  const clock = steadyClock(log);
  const core = new Core({ store, log, clock: () => clock.now(), agentTls: tls, mailer });
  const admin = await serveAdmin(socketPath(directory), core);
  const at = await core.listen(agentsAt).catch((cause: unknown) => {
    throw new PlainError('cannot-listen', `cannot listen for agents: ${errorText(cause)}`, 1, cause);
  });
  const metricsAt = settings['metrics-listen'];
  const status =
    metricsAt === undefined
      ? null
      : await listenForStatus(listenAddress('metrics-listen', metricsAt), {
          notReady: () => core.notReady(),
          metrics: () => core.metrics(),
        });
  const token = settings['proxy-token'];
  const ca = settings['proxy-ca'] === undefined ? undefined : textFile('proxy-ca', settings['proxy-ca']);
  for (const url of settings.proxy) core.relayTo(url, token!, ca);
  warnDangers(store, log);
  core.renewOnHangup(readTls);
  const stopped = untilStopped(); // before the log says that we are ready
  log.info('core ready', { agents: at.port, proxies: settings.proxy.length, data: directory });
  await stopped;
  admin.close();
  await status?.close();
  await core.close();
  return 0;
}

function steadyClock(log: Log): SteadyClock {
  const clocks = { wall: Date.now, steady: () => performance.now(), boot: () => uptime() * 1000 };
  return new SteadyClock(clocks, byMs => {
    if (byMs === 0) log.info('the clock of this machine is right again');
    else
      log.error('the clock of this machine was set: Core goes on with its own; check it, then restart Core', {
        bySeconds: Math.round(byMs / 1000),
      });
  });
}

/** Null where no mail server is named. */
function mailerOf(settings: Settings<typeof specs>, log: Log): Mailer | null {
  const { smtp, 'mail-from': from, 'smtp-user': user, 'smtp-password': password, 'smtp-ca': ca } = settings;
  if (smtp === undefined) return null;
  return new Mailer({
    ...mailServer(smtp, from, settings.insecure),
    ...(user === undefined ? {} : { user, password: password ?? '' }),
    ...(ca === undefined ? {} : { ca: textFile('smtp-ca', ca) }),
    log,
  });
}

/** Plain sockets are for loopback. */
function checkPlain(settings: Settings<typeof specs>, agentsHost: string, agentsTls: boolean): void {
  if (settings.proxy.length > 0 && (settings['proxy-token'] ?? '').length < 16)
    throw usageError(
      'no-token',
      'give --proxy-token-file FILE with at least 16 characters that the Proxy has, too',
    );
  for (const url of settings.proxy) {
    const parsed = URL.canParse(url) ? new URL(url) : null;
    if (parsed === null || !/^wss?:$/.test(parsed.protocol))
      throw usageError('bad-proxy', `--proxy must be ws://HOST:PORT or wss://HOST:PORT, not "${url}"`);
    if (parsed.protocol === 'ws:' && !isLoopback(parsed.hostname) && !settings.insecure)
      throw usageError('no-tls', `${url}: plain ws:// is for loopback only: use wss://, or --insecure`);
  }
  if (!agentsTls && !isLoopback(agentsHost) && !settings.insecure)
    throw usageError(
      'no-tls',
      'agents on other machines need TLS: give --agents-tls-cert and --agents-tls-key, or --insecure',
    );
}

function warnDangers(store: Store, log: Log): void {
  for (const { name, settings } of store.places.locations()) {
    if (settings.policy?.dangerouslyShortStaleAfter !== undefined)
      log.warn('dangerouslyShortStaleAfter is set: live tunnels will be logged out', { location: name });
    if (settings.allowX25519 === true)
      log.warn('plain X25519 is accepted: no post-quantum secrecy', { location: name });
  }
}

function randomly(bytes: number): Uint8Array {
  return new Uint8Array(randomBytes(bytes));
}
