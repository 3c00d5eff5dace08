// Commands of the client: `sallyport enrol | up | login | status | logout | down`. `up` brings the tunnel up in a background
// process, without a session; `login` proves a second factor and puts the session's PSK into that tunnel. Secrets come from
// the terminal, a file or standard input. With --json the answer is one JSON object on standard output, errors included.

import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { PlainError, errorText, usageError } from '../util/errors.ts';
import { Api, proxyUrl } from './api.ts';
import { enrolDevice } from './enrol.ts';
import { launch, runForeground } from './daemon/launch.ts';
import { interactive, scripted, secretLines } from './prompt.ts';
import { Server } from './daemon/server.ts';
import { signIn } from './signin.ts';
import { ask } from './daemon/socket.ts';
import { Store, chooseLocation, stateDir, withLocations } from './state.ts';
import type { Location } from './state.ts';
import { toBase64 } from '../util/bytes.ts';

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const common = { state: text, json: flag, help: flag } as const;
const tunnelOptions = { interface: text, 'tun-device': text, 'log-level': text } as const;

export const commands: Record<
  string,
  { usage: string; options: Record<string, { type: 'string' | 'boolean' }>; act: Act }
> = {
  enrol: {
    usage: 'enrol --proxy URL [--token-file FILE] [--name NAME] [--ca FILE] [--plain-http] [--again]',
    options: {
      ...common,
      proxy: text,
      'token-file': text,
      name: text,
      ca: text,
      'plain-http': flag,
      again: flag,
    },
    act: enrol,
  },
  up: {
    usage: 'up [LOCATION] [--interface NAME] [--tun-device PATH] [--foreground]',
    options: { ...common, ...tunnelOptions, foreground: flag },
    act: up,
  },
  login: {
    usage:
      'login [LOCATION] [--code-file FILE|-] [--method totp|recovery|email] [--interface NAME] [--tun-device PATH]',
    options: { ...common, ...tunnelOptions, 'code-file': text, method: text },
    act: login,
  },
  status: { usage: 'status [LOCATION]', options: common, act: status },
  logout: { usage: 'logout [LOCATION]', options: common, act: logout },
  down: { usage: 'down [LOCATION]', options: common, act: down },
};

type Values = Record<string, string | boolean | undefined>;
type Given = { readonly values: Values; readonly location: string | undefined; readonly store: Store };
/** What to show: an object for --json, a line for people; `exit` when the answer is a "no" and not an error. */
type Shown = { readonly json: Record<string, unknown>; readonly line: string; readonly exit?: 0 | 1 };
type Act = (given: Given) => Promise<Shown>;

/** `args[0]` is the command's name. */
export async function run(args: string[], out: (text: string) => void = print): Promise<number> {
  const [name = '', ...rest] = args;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined)
    throw usageError(
      'unknown-command',
      `unknown command '${name}': expected one of ${Object.keys(commands).join(', ')}`,
    );
  const wantsJson = rest.includes('--json');
  try {
    const given = parse(rest, command);
    if (given.values.help === true) {
      out(`usage: sallyport ${command.usage} [--state DIR] [--json]\n`);
      return 0;
    }
    const { json, line, exit } = await command.act(given);
    out(wantsJson ? `${JSON.stringify({ ok: (exit ?? 0) === 0, ...json })}\n` : `${line}\n`);
    return exit ?? 0;
  } catch (error) {
    if (!wantsJson || !(error instanceof PlainError)) throw error;
    out(`${JSON.stringify({ ok: false, error: { code: error.code, message: errorText(error) } })}\n`);
    return error.exit;
  }
}

function print(text: string): void {
  process.stdout.write(text);
}

function parse(args: string[], command: (typeof commands)[string]): Given {
  let parsed: { values: Values; positionals: string[] };
  try {
    parsed = parseArgs({ args, options: command.options, allowPositionals: true, strict: true });
  } catch (error) {
    // Only the first sentence: the rest of Node's message does not fit this program.
    throw usageError('usage', `${errorText(error).split('. ')[0]!}; usage: sallyport ${command.usage}`);
  }
  const [location, extra] = parsed.positionals;
  if (extra !== undefined)
    throw usageError('usage', `unexpected '${extra}'; usage: sallyport ${command.usage}`);
  const dir = stateDir(string(parsed.values.state), process.env);
  return { values: parsed.values, location, store: new Store(dir) };
}

async function enrol({ values, location, store }: Given): Promise<Shown> {
  if (location !== undefined)
    throw usageError(
      'usage',
      `unexpected '${location}'; a token is read from --token-file or standard input`,
    );
  const proxy = string(values.proxy);
  if (proxy === undefined) throw usageError('usage', 'enrol needs --proxy URL');
  const url = proxyUrl(proxy, values['plain-http'] === true);
  if (store.isEnrolled && values.again !== true)
    throw usageError(
      'enrolled',
      `${store.dir} holds an enrolled device already: use --again to replace it, or another --state directory`,
    );
  const [token] = secretLines(string(values['token-file']) ?? '-', '--token-file');
  if (token === undefined)
    throw usageError('no-token', 'no enrolment token: give it with --token-file FILE or on standard input');
  const caFile = string(values.ca);
  const state = await enrolDevice(store, {
    proxy: url.href,
    ...(caFile === undefined ? {} : { caFile }),
    token,
    name: string(values.name) ?? hostname(),
  });
  const names = state.enrolled.locations.map(each => each.name);
  return {
    json: {
      device: state.enrolled.device,
      user: state.enrolled.user,
      publicKey: state.publicKey,
      locations: names,
    },
    line: `enrolled as ${state.enrolled.user}; locations: ${names.join(', ') || 'none yet'}`,
  };
}

async function up({ values, location, store }: Given): Promise<Shown> {
  if (values.foreground === true) {
    await runForeground(store, location, launchOptions(values));
    return { json: {}, line: 'tunnel down' };
  }
  const place = chooseLocation(store.load(), location);
  const running = await ask(store.socketFile(place), { op: 'status' });
  if (running !== null)
    return {
      json: { ...running, already: true },
      line: `${place.name} is up on ${String(running.interface)} already`,
    };
  const status = await launch(store, place, launchOptions(values));
  return {
    json: status,
    line: `${place.name} is up on ${String(status.interface)}; 'sallyport login' opens it`,
  };
}

async function login({ values, location, store }: Given): Promise<Shown> {
  const state = store.load();
  const place = chooseLocation(state, location);
  const codeFile = string(values['code-file']);
  const method = string(values.method);
  // A terminal can be asked again; a file cannot.
  const isAsking = codeFile === undefined && process.stdin.isTTY;
  const answers = isAsking
    ? interactive(method)
    : scripted(secretLines(codeFile ?? '-', '--code-file'), method);
  // The tunnel first: whatever stands in its way must not cost a code. One that is up has to let us through to the Proxy.
  if ((await ask(store.socketFile(place), { op: 'release' })) === null)
    await launch(store, place, launchOptions(values));
  let begun: Record<string, unknown> = {};
  const granted = await signIn({
    server: new Server(new Api(state.proxy, state), state, place),
    location: place,
    device: state.publicKey,
    methods: method === undefined ? [] : [method],
    tries: isAsking ? 3 : 1,
    ask: answers,
    install: async (psk, answer) => {
      const { locations: _, ...own } = answer;
      const reply = await ask(store.socketFile(place), { op: 'begin', psk: toBase64(psk), granted: own });
      if (reply === null)
        throw new PlainError(
          'tunnel-gone',
          `the tunnel of ${place.name} stopped during the login: see ${store.logFile(place)}`,
        );
      begun = reply;
      return reply.handshake === true;
    },
  });
  if (granted.locations !== undefined) store.save(withLocations(state, granted.locations));
  const { id, expiresAt, now } = granted.session;
  const hours = ((expiresAt - now) / 3_600_000).toFixed(1);
  return {
    json: {
      session: id,
      expiresAt,
      stale: granted.session.stale,
      handshakeMs: begun.handshakeMs,
      ...(typeof begun.note === 'string' && { note: begun.note }),
    },
    line: `logged in to ${place.name} for at most ${hours} h${noteOf(begun)}`,
  };
}

async function status({ location, store }: Given): Promise<Shown> {
  const state = store.load();
  const places = location === undefined ? state.enrolled.locations : [chooseLocation(state, location)];
  const lines: string[] = [];
  const json: unknown[] = [];
  for (const place of places) {
    const reply = await ask(store.socketFile(place), { op: 'status' });
    lines.push(
      `${place.name}: ${reply === null ? 'down' : `up on ${String(reply.interface)}, ${String(reply.text)}`}`,
    );
    const { ok: _, ...rest } = reply ?? { ok: true };
    json.push({ location: place.name, up: reply !== null, ...rest });
  }
  return {
    json: { user: state.enrolled.user, locations: json },
    line: lines.join('\n') || 'no locations yet',
  };
}

async function logout(given: Given): Promise<Shown> {
  const { place, reply } = await running(given, { op: 'logout' });
  return { json: reply, line: `logged out of ${place.name}${noteOf(reply)}` };
}

async function down(given: Given): Promise<Shown> {
  const { place, reply } = await running(given, { op: 'down' });
  return { json: reply, line: `${place.name} is down${noteOf(reply)}` };
}

async function running(
  { location, store }: Given,
  request: { op: string },
): Promise<{ place: Location; reply: Record<string, unknown> }> {
  const place = chooseLocation(store.load(), location);
  const reply = await ask(store.socketFile(place), request);
  if (reply === null) throw new PlainError('not-up', `${place.name} is not up on this machine`);
  return { place, reply };
}

/** What the running tunnel has to add to its answer. */
function noteOf(reply: Record<string, unknown>): string {
  return typeof reply.note === 'string' ? `; ${reply.note}` : '';
}

function launchOptions(values: Values): { ifname?: string; tunDevice?: string; debug: boolean } {
  const level = string(values['log-level']) ?? 'info';
  if (level !== 'info' && level !== 'debug')
    throw usageError('usage', `--log-level ${level}: expected info or debug`);
  const ifname = string(values.interface);
  if (ifname !== undefined && !/^[A-Za-z0-9_=+.-]{1,15}$/.test(ifname))
    throw usageError('bad-interface', `--interface ${ifname}: expected 1 to 15 letters, digits or _=+.-`);
  const tunDevice = string(values['tun-device']);
  return {
    ...(ifname === undefined ? {} : { ifname }),
    ...(tunDevice === undefined ? {} : { tunDevice }),
    debug: level === 'debug',
  };
}

function string(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
