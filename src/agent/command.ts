// `sallyport agent --config FILE`: reads the configuration, starts the gateway, follows signals (TERM and INT stop, HUP
// reloads) and turns the end into an exit status: 0 when told to stop, 1 when something broke, so that a supervisor
// starts it again.

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { Arena } from '../util/arena.ts';
import { errorText, PlainError } from '../util/errors.ts';
import { newMemory } from '../util/memory.ts';
import { Clock } from '../platform/clock.ts';
import { findRoute, inheritedTun } from '../platform/ffi/route.ts';
import { Libc } from '../platform/libc.ts';
import { createLog, type Log } from '../control/log.ts';
import { Netlink } from '../platform/net/netlink.ts';
import { type AgentConfig, defaultFile, loadConfig } from './config/config.ts';
import { becomeUser, renounceNewRights } from './droproot.ts';
import { Gateway } from './gateway.ts';
import type { Host } from './host.ts';
import { startDataplane } from './dataplane/client.ts';
import { datagramSender, monotonicClock, Notify } from './health/sdnotify.ts';
import { agentOptions, type Option, optionNames } from './config/schema.ts';
import { ubusSocket } from './ubus/connection.ts';
import type { StartDataplane } from './dataplane/options.ts';
import { BusObject } from './ubus/object.ts';
import { uciFile } from './config/uciconfig.ts';

export interface AgentProcess {
  readonly environment: Record<string, string | undefined>;
  readonly host: (config: AgentConfig) => Promise<Host>;
  out(text: string): void;
  readonly write?: (line: string) => void;
}

export async function run(args: readonly string[], process: AgentProcess = thisProcess()): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.out(usage());
    return 0;
  }
  const warnings: string[] = [];
  const read = (): AgentConfig =>
    loadConfig({
      args: withDefaultFile(args, process),
      environment: process.environment,
      warn: line => warnings.push(line),
    });
  let config = read();
  // The level follows a HUP; all parts keep the same log object.
  let current = logOf(config, process);
  const log = forwarding(() => current);
  for (const line of warnings.splice(0)) log.warn(line);

  let gateway: Gateway | null = null;
  let notify: Notify | null = null;
  let signalled = false;
  const onStop = (signal: NodeJS.Signals): void => {
    signalled = true;
    notify?.stopping();
    gateway?.stop(`signal ${signal}`);
  };
  const onReload = (): void => {
    notify?.reloading();
    try {
      config = { ...read(), join_token: config.join_token };
      for (const line of warnings.splice(0)) log.warn(line);
      current = logOf(config, process);
      gateway
        ?.reload(config)
        .catch((error: unknown) => log.error('reload', { why: errorText(error) }))
        .finally(() => notify?.ready('configuration reloaded'));
    } catch (error) {
      log.error(`the new configuration is not used: ${errorText(error)}`);
      notify?.ready('the new configuration is not used');
    }
  };
  const handlers = { SIGTERM: onStop, SIGINT: onStop, SIGHUP: onReload } as const;
  for (const [signal, handler] of Object.entries(handlers)) globalThis.process.on(signal, handler);
  try {
    becomeUser(config.user);
    const host = await process.host(config);
    notify = host.notify ?? null;
    await Gateway.start(config, log, host, started => {
      gateway = started;
      if (signalled) started.stop('signal');
    });
    const running = gateway!;
    notify?.ready('up');
    notify?.watch(
      () => running.isWell(),
      () => void tellStatus(running, notify),
    );
    const bus = openBus(config, running, log, onReload);
    await running.finished().finally(() => bus?.close());
    return signalled ? 0 : 1;
  } catch (error) {
    if (signalled && error instanceof PlainError && error.code === 'stopped') return 0;
    throw error;
  } finally {
    for (const [signal, handler] of Object.entries(handlers)) globalThis.process.off(signal, handler);
  }
}

/** The object on OpenWrt's bus, where there is a bus. */
function openBus(config: AgentConfig, gateway: Gateway, log: Log, reload: () => void): BusObject | null {
  if (config.ubus === 'off' || !existsSync(dirname(ubusSocket))) return null;
  return new BusObject(
    {
      report: () => gateway.report(),
      logout: session => gateway.logout(session),
      onSession: listener => gateway.onSession(listener),
      reload,
    },
    log,
    config.ubus === 'auto' ? {} : { name: config.ubus },
  );
}

async function tellStatus(gateway: Gateway, notify: Notify | null): Promise<void> {
  const report = await gateway.report().catch(() => null);
  if (report === null) return;
  const { sessions, core } = report;
  notify?.status(`${sessions.length} sessions, Core ${core.connected ? 'connected' : 'away'}`);
}

/** Every option, from the schema. */
function usage(): string {
  const lines = optionNames.map(name => {
    const option: Option<unknown> = agentOptions[name];
    const how =
      option.secret === true ? `SALLYPORT_${name.toUpperCase()}_FILE` : `--${name.replaceAll('_', '-')}`;
    return `  ${how.padEnd(28)} ${option.about}; for example ${option.example}`;
  });
  return `usage: sallyport agent --config FILE | --uci FILE [--section NAME] [--OPTION VALUE ...]\n${lines.join('\n')}\n`;
}

function withDefaultFile(args: readonly string[], { environment }: AgentProcess): readonly string[] {
  const isNamed =
    args.some(arg => /^--(config|uci)(=|$)/.test(arg)) ||
    environment['SALLYPORT_CONFIG'] ||
    environment['SALLYPORT_UCI'];
  if (isNamed) return args;
  const file = existsSync(defaultFile) ? ['--config', defaultFile] : [];
  // OpenWrt: root without a jail reads UCI itself; a jailed agent is given a copy by the init script.
  const uci = existsSync(uciFile) ? ['--uci', uciFile] : [];
  return [...file, ...uci, ...args];
}

function logOf(config: AgentConfig, { environment, write }: AgentProcess): Log {
  return createLog({
    level: config.log_level,
    format: config.log_format,
    environment,
    ...(write !== undefined && { write }),
  });
}

function forwarding(current: () => Log): Log {
  return {
    at: (level, message, fields) => current().at(level, message, fields),
    isOn: level => current().isOn(level),
    error: (message, fields) => current().error(message, fields),
    warn: (message, fields) => current().warn(message, fields),
    info: (message, fields) => current().info(message, fields),
    debug: (message, fields) => current().debug(message, fields),
    trace: (message, fields) => current().trace(message, fields),
  };
}

function thisProcess(): AgentProcess {
  return {
    environment: process.env,
    out: text => void process.stdout.write(text),
    host: async config => {
      const inherited = inheritedTun(process.env);
      const start: StartDataplane = options => startDataplane({ ...options, ...inherited });
      const ffi = await findRoute(config.ffi, inherited.tunFd);
      if (ffi === null) return (await import('./dataplane/noffi/inherited.ts')).inheritedHost(start);
      if (config.user !== '') renounceNewRights((name, parameters) => ffi.symbol(name, parameters));
      const memory = newMemory(2, true);
      const libc = new Libc(ffi, new Arena(memory.buffer));
      const clock = new Clock(libc);
      return {
        start,
        kernel: config.configure_link ? new Netlink(libc) : null,
        bootMs: () => clock.bootMs(),
        wallMs: () => clock.wallMs(),
        notify: Notify.of({
          environment: process.env,
          send: datagramSender(libc),
          monotonicUs: monotonicClock(libc),
          pid: process.pid,
        }),
      };
    },
  };
}
