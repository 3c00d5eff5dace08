// The agent's log: one line per event on stderr, text or JSON. Whoever collects the lines decides about the stamp: systemd
// and procd add their own time, so there we leave ours out; under systemd a `<N>` prefix carries the priority.
// Nothing here knows of keys, and nothing may be handed over that contains one.

import type { LogLevel } from './messages.ts';

export type LogSink = (line: string) => void;
export type LogFormat = 'text' | 'json';
export type LogThreshold = LogLevel | 'silent';

export interface Log {
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
  at(level: LogLevel, message: string): void;
}

export interface LogOptions {
  readonly level: LogThreshold;
  readonly format?: LogFormat;
  readonly sink?: LogSink;
  /** Before the message, e.g. `(wg0) `. */
  readonly prefix?: string;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly wallMs?: () => number;
}

/** Lower is more urgent; the numbers are syslog priorities (RFC 5424 §6.2.1). */
const priorities: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

export function createLog(options: LogOptions): Log {
  const { level, format = 'text', prefix = '' } = options;
  const environment = options.environment ?? process.env;
  const sink = options.sink ?? (line => void process.stderr.write(line));
  const wallMs = options.wallMs ?? Date.now;
  const threshold = level === 'silent' ? -1 : priorities[level];
  const isJournal = environment['JOURNAL_STREAM'] !== undefined;
  const isStamped = !isJournal && environment['SALLYPORT_LOG_TIME'] !== '0';
  const at = (severity: LogLevel, message: string): void => {
    if (priorities[severity] > threshold) return;
    const text = prefix + oneLine(message);
    const time = new Date(wallMs()).toISOString();
    if (format === 'json') {
      sink(`${JSON.stringify({ ...(isStamped && { time }), level: severity, message: text })}\n`);
      return;
    }
    const mark = isJournal ? `<${priorities[severity]}>` : '';
    sink(`${mark}${isStamped ? `${time} ` : ''}${severity}: ${text}\n`);
  };
  return {
    at,
    error: message => at('error', message),
    warn: message => at('warn', message),
    info: message => at('info', message),
    debug: message => at('debug', message),
  };
}

/** Control characters would let a name from outside forge a line or drive a terminal. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}
