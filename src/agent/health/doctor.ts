// `sallyport doctor [--json]`: what this machine offers and what it lacks, one line each, with what to do about it. Here are the probes
// of runtime, configuration, directories and the way to Core; those of the machine are platform/doctor.ts. Exit status 1 when something
// stops the agent. Changes nothing, and waits for nothing longer than a few seconds.

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import {
  type Finding,
  probeClock,
  probeCrypto,
  probeFfi,
  probeForwarding,
  probeNetAdmin,
  probeTun,
  probeUdp,
} from '../../platform/doctor.ts';
import { loadFfi } from '../../platform/ffi/load.ts';
import { inheritedTun } from '../../platform/ffi/route.ts';
import { Libc } from '../../platform/libc.ts';
import { Arena } from '../../util/arena.ts';
import { errorText, usageError } from '../../util/errors.ts';
import { newMemory } from '../../util/memory.ts';
import { type AgentConfig, defaultFile, loadConfig } from '../config/config.ts';
import { probeDigests, probeMtu, probeSimd } from './doctorhost.ts';
import { portableProviders, preparePortable, stablelibName } from '../portableproviders.ts';
import { version } from '../version.ts';

export interface DoctorIo {
  out(text: string): void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Findings about the machine; replaced in tests. */
  readonly machine: () => Promise<Finding[]>;
}

export async function run(args: readonly string[], io: DoctorIo = standardIo()): Promise<number> {
  const isJson = args.includes('--json');
  const places = args.filter(arg => arg !== '--json');
  const unknown = places.find((arg, i) => !isPlace(arg) && !isPlaceFlag(places[i - 1]));
  if (unknown !== undefined || isPlaceFlag(places.at(-1)))
    throw usageError(
      'argument',
      `unexpected '${unknown ?? places.at(-1)}': expected doctor [--json] [--config FILE | --uci FILE [--section NAME]]`,
    );
  const findings = [
    probeRuntime(),
    ...(await io.machine()),
    ...(await probeConfiguration(io.environment, places)),
  ];
  const ok = findings.every(finding => finding.ok);
  io.out(isJson ? `${JSON.stringify({ ok, version, findings })}\n` : findings.map(line).join(''));
  return ok ? 0 : 1;
}

/** `--config`, whose value follows. */
function isPlaceFlag(arg: string | undefined): boolean {
  return arg !== undefined && /^--(config|uci|section)$/.test(arg);
}

function isPlace(arg: string): boolean {
  return isPlaceFlag(arg) || /^--(config|uci|section)=/.test(arg);
}

function line({ name, ok, detail, repair }: Finding): string {
  const mark = ok ? (repair === '' ? 'ok  ' : 'hint') : 'FAIL';
  return `${mark} ${name.padEnd(11)} ${detail}${repair === '' ? '' : `; ${repair}`}\n`;
}

export function probeRuntime(
  versions: Readonly<Record<string, string | undefined>> = process.versions,
): Finding {
  const { deno, node } = versions;
  const detail = deno === undefined ? `Node ${node}` : `Deno ${deno}`;
  const [major] = (deno ?? node ?? '0').split('.');
  const isOld = Number(major) < (deno === undefined ? 20 : 2);
  // It may run, and does on ARM's last 20.11; it is not tested.
  const isBelowFloor = deno === undefined && Number(major) === 20 && Number(node?.split('.')[1]) < 19;
  return {
    name: 'runtime',
    ok: !isOld,
    detail: `${detail} on ${process.platform} ${process.arch}`,
    repair: isOld || isBelowFloor ? 'install Node 20.19 or newer, or Deno 2' : '',
  };
}

/** The configuration as the agent would read it, the directories it names and the way to Core. */
export async function probeConfiguration(
  environment: Readonly<Record<string, string | undefined>>,
  places: readonly string[] = [],
): Promise<Finding[]> {
  const file = environment['SALLYPORT_CONFIG'] ?? defaultFile;
  const isNamed = places.length > 0 || environment['SALLYPORT_UCI'] !== undefined;
  if (!isNamed && !existsSync(file) && environment['SALLYPORT_CORE_URL'] === undefined)
    return [
      { name: 'config', ok: true, detail: `${file} does not exist: nothing more to look at`, repair: '' },
    ];
  let config: AgentConfig;
  try {
    // A copy, for reading secrets removes them.
    config = loadConfig({
      args: !isNamed && existsSync(file) ? ['--config', file] : places,
      environment: { ...environment },
    });
  } catch (error) {
    return [{ name: 'config', ok: false, detail: errorText(error), repair: '' }];
  }
  return [
    { name: 'config', ok: true, detail: config.file ?? 'from the environment', repair: '' },
    probeDirectory('state', config.state_dir, true),
    probeDirectory('uapi', config.uapi_dir, false),
    await probeCore(config.core_url),
  ];
}

export function probeDirectory(name: string, path: string, isSecret: boolean): Finding {
  const found = existsSync(path);
  const looked = found ? path : dirname(path);
  try {
    accessSync(looked, constants.W_OK | constants.X_OK);
  } catch {
    const repair = `create ${path} for this user (mode 0700)`;
    return { name, ok: false, detail: `${looked} cannot be written`, repair };
  }
  const mode = found ? statSync(path).mode & 0o777 : 0o700;
  const isOpen = isSecret && (mode & 0o077) !== 0;
  return {
    name,
    ok: true,
    detail: found ? path : `${path} will be created`,
    repair: isOpen ? `chmod 700 ${path}: it holds keys and is open to others` : '',
  };
}

export function probeCore(url: string, withinMs = 3000): Promise<Finding> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise(resolve => {
    const socket = connect({ host, port: Number(port) || (protocol === 'https:' ? 443 : 80) });
    const done = (ok: boolean, detail: string): void => {
      socket.destroy();
      const repair = ok
        ? ''
        : 'live sessions go on without Core, new ones do not start: check core_url, DNS and firewall';
      resolve({ name: 'core', ok, detail, repair });
    };
    socket.setTimeout(withinMs, () => done(false, `${url} does not answer within ${withinMs / 1000} s`));
    socket.on('connect', () => done(true, `${url} can be reached`));
    socket.on('error', error => done(false, `${url}: ${errorText(error)}`));
  });
}

/** Without FFI (`why`): the TUN that a launcher passed on, if there is one. */
export async function probeInherited(
  environment: Readonly<Record<string, string | undefined>>,
  why: string,
): Promise<Finding> {
  try {
    const { tunFd, tunOwner } = inheritedTun(environment);
    if (tunFd === undefined) throw new Error(why);
    const { name, signals } = (await import('../../platform/inherited.ts')).describeFd(tunFd, tunOwner);
    const detail = `none, so inherited-fd: ${name}, descriptor ${tunFd} ${signals ? 'signals' : 'blocks'}`;
    const repair = signals ? '' : 'one that signals is faster, and ends with status 0: firmware/launcher';
    return { name: 'ffi', ok: true, detail, repair };
  } catch (error) {
    const repair = 'use Node 26, place koffi beside the bundle, or start through firmware/launcher';
    return { name: 'ffi', ok: false, detail: errorText(error), repair };
  }
}

async function probeMachine(): Promise<Finding[]> {
  await preparePortable(stablelibName);
  const memory = newMemory(32, true);
  let libc: Libc;
  try {
    const ffi = await loadFfi();
    libc = new Libc(ffi, new Arena(memory.buffer));
  } catch (error) {
    return [
      await probeInherited(process.env, errorText(error)),
      probeSimd(),
      probeDigests(),
      probeMtu(),
      probeNetAdmin(),
      probeForwarding(),
    ];
  }
  return [
    probeFfi(libc),
    probeTun(libc),
    probeUdp(libc),
    probeCrypto(libc, () => portableProviders(libc.arena, memory)),
    probeSimd(),
    probeDigests(),
    probeClock(libc),
    probeMtu(),
    probeNetAdmin(),
    probeForwarding(),
  ];
}

function standardIo(): DoctorIo {
  return { out: text => void process.stdout.write(text), environment: process.env, machine: probeMachine };
}
