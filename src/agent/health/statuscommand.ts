// `sallyport status [--json]` and `sallyport health`: ask the running agent over its sockets. `health` is for container and
// process supervisors: silence and 0 when all is well, one line and 1 when not.

import { existsSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { errorText, PlainError, usageError } from '../../util/errors.ts';
import { type StatusReport, statusText } from './statusreport.ts';
import { agentOptions, type Option } from '../config/schema.ts';

export interface StatusIo {
  out(text: string): void;
  error(text: string): void;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export const statusSocket = 'agent.sock';

export async function run(args: readonly string[], io: StatusIo = standardIo()): Promise<number> {
  const isJson = args.includes('--json');
  const unknown = args.find(arg => arg !== '--json');
  if (unknown !== undefined)
    throw usageError('argument', `unexpected '${unknown}': expected status [--json]`);
  const report = await readStatus(join(setting('run_dir', io), statusSocket));
  io.out(isJson ? `${JSON.stringify(report)}\n` : statusText(report));
  return 0;
}

/** Whether an agent runs on this machine, or has left its socket. */
export function isHere(io: StatusIo = standardIo()): boolean {
  return existsSync(join(setting('run_dir', io), statusSocket));
}

/** What the agent behind `socketPath` says of itself. */
export async function readStatus(socketPath: string): Promise<StatusReport> {
  const { status, body } = await get({ socketPath, path: '/status' }).catch((error: unknown) => {
    const why = (error as NodeJS.ErrnoException).code === 'EACCES' ? 'permission denied' : errorText(error);
    throw new PlainError(
      'no-agent',
      `no agent answers at ${socketPath} (${why}): is it running, and may you ask it?`,
    );
  });
  if (status !== 200)
    throw new PlainError(
      'no-status',
      `the agent at ${socketPath} answered with status ${status}: ${body.trim()}`,
    );
  return JSON.parse(body) as StatusReport;
}

export async function health(args: readonly string[], io: StatusIo = standardIo()): Promise<number> {
  if (args.length > 0) throw usageError('argument', `unexpected '${args[0]}': health takes no arguments`);
  const listen = setting('metrics_listen', io);
  try {
    const { status, body } =
      listen === null
        ? await get({ socketPath: join(setting('run_dir', io), statusSocket), path: '/healthz' })
        : await get({ ...listen, path: '/healthz' });
    if (status === 200) return 0;
    io.error(`unhealthy: ${body.trim()}\n`);
  } catch (error) {
    io.error(`unhealthy: ${errorText(error)}\n`);
  }
  return 1;
}

/** From the environment or the default: a supervisor's one-liner does not read the file. */
function setting<N extends 'run_dir' | 'metrics_listen'>(
  name: N,
  io: StatusIo,
): N extends 'run_dir' ? string : { host: string; port: number } | null {
  const option = agentOptions[name] as Option<unknown>;
  const variable = `SALLYPORT_${name.toUpperCase()}`;
  const text = io.environment[variable];
  if (text === undefined || text === '') return option.fallback as never;
  const parsed = option.form.text(text);
  if (!parsed.ok)
    throw usageError(
      'config',
      `${variable}='${text}': expected ${parsed.expected}; for example ${option.example}`,
    );
  return parsed.value as never;
}

function get(where: {
  socketPath?: string;
  host?: string;
  port?: number;
  path: string;
}): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...where, timeout: 5000 }, response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', reject);
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer within 5 s')));
    asked.on('error', reject);
    asked.end();
  });
}

function standardIo(): StatusIo {
  return {
    out: text => void process.stdout.write(text),
    error: text => void process.stderr.write(text),
    environment: process.env,
  };
}
