// Log lines of every role on stderr, one per event, text or JSON. systemd and procd add the time themselves; under systemd `<N>`
// carries the priority. Bounded: long lines are cut, floods summed up, a full pipe loses lines. Secrets are hidden by field name and by
// form, as a second defence: callers pass none.

import { writeSync } from 'node:fs';
import { usageError } from '../util/errors.ts';

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;
type Say = (message: string, fields?: LogFields) => void;

export interface Log {
  readonly error: Say;
  readonly warn: Say;
  readonly info: Say;
  readonly debug: Say;
  readonly trace: Say;
  at(level: LogLevel, message: string, fields?: LogFields): void;
  /** To skip building what would not be written. */
  isOn(level: LogLevel): boolean;
}

export type LogOptions = {
  readonly level: LogLevel | 'silent';
  readonly format?: 'text' | 'json';
  /** Goes in front of each message: the interface, or a part of the program. */
  readonly area?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly write?: (line: string) => void;
  readonly wallMs?: () => number;
};

const lineCharacters = 2000;
/** Lines below `warn` in one second; what comes on top is counted and reported once. */
const linesPerSecond = 200;
/** Syslog priorities, RFC 5424 §6.2.1. */
const priorities: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7, trace: 7 };

export function createLog(options: LogOptions): Log {
  const environment = options.environment ?? process.env;
  const write = options.write ?? writeStderr;
  const wallMs = options.wallMs ?? Date.now;
  const limit = options.level === 'silent' ? -1 : logLevels.indexOf(options.level);
  const journal = environment['JOURNAL_STREAM'] !== undefined;
  const stamped = !journal && environment['SALLYPORT_LOG_TIME'] !== '0';
  let second = 0;
  let lines = 0;

  const isOn = (level: LogLevel): boolean => logLevels.indexOf(level) <= limit;
  const put = (level: LogLevel, message: string, fields: LogFields): void => {
    const time = stamped ? new Date(wallMs()).toISOString() : '';
    const text = (options.area === undefined ? '' : `${options.area}: `) + oneLine(message);
    if (options.format === 'json') {
      const parts = { ...(stamped && { time }), level, message: cut(text), ...hidden(fields) };
      write(`${cut(JSON.stringify(parts), parts.message)}\n`);
      return;
    }
    const mark = journal ? `<${priorities[level]}>` : stamped ? `${time} ` : '';
    write(`${mark}${cut(`${level}: ${text}${pairs(fields)}`)}\n`);
  };
  const at = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (!isOn(level)) return;
    const now = Math.floor(wallMs() / 1000);
    if (now !== second) {
      const lost = lines - linesPerSecond;
      second = now;
      lines = 0;
      if (lost > 0) put('warn', 'log lines left out', { lines: lost });
    }
    if (level !== 'error' && level !== 'warn' && ++lines > linesPerSecond) return;
    put(level, message, fields);
  };
  const say =
    (level: LogLevel): Say =>
    (message, fields) =>
      at(level, message, fields);
  return {
    at,
    isOn,
    error: say('error'),
    warn: say('warn'),
    info: say('info'),
    debug: say('debug'),
    trace: say('trace'),
  };
}

export const silentLog: Log = createLog({ level: 'silent', environment: {} });

/** The level that a setting names; `info` when it names none. */
export function levelOf(text: string | undefined): LogLevel {
  const level = logLevels.find(known => known === (text ?? 'info'));
  if (level === undefined)
    throw usageError('bad-value', `log-level must be one of ${logLevels.join(', ')}, not "${text}"`);
  return level;
}

/** Synchronous, so that the last words of a dying process get out. A full or closed pipe loses the line. */
function writeStderr(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // Nowhere to report to.
  }
}

/** A 32-byte base64 value could be a key, public or not. What starts with a slash is a long path. */
const secretForms =
  /\b(sp1\.|sp[jes]_|xwing\.|x25519\.)[\w.-]+|[\w+/-]{43}=|(?<![\w+/-])(?!\/)[\w+/-]{64,}={0,2}/g;

/** Control characters would let a name from outside forge a line or drive a terminal. */
function oneLine(text: string): string {
  return text
    .replace(secretForms, found => `${found.slice(0, 6)}[cut]`)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** JSON that would be too long is replaced by its message alone, as half an object cannot be parsed. */
function cut(text: string, instead?: string): string {
  if (text.length <= lineCharacters) return text;
  if (instead !== undefined)
    return JSON.stringify({ message: instead.slice(0, lineCharacters / 4), cut: true });
  return `${text.slice(0, lineCharacters)}…`;
}

function hidden(fields: LogFields): LogFields {
  const shown: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const secret = /psk|preshared|private|secret|password|token|cookie|code$/i.test(name);
    shown[name] = secret ? '[hidden]' : typeof value === 'string' ? oneLine(value) : value;
  }
  return shown;
}

function pairs(fields: LogFields): string {
  let text = '';
  for (const [name, value] of Object.entries(hidden(fields))) {
    const shown = String(value);
    text += ` ${name}=${/[\s"=]/.test(shown) ? JSON.stringify(shown) : shown}`;
  }
  return text;
}
