// Log lines for the servers: one line per event, level, area, words and a few fields. Pure but for the writer it is given.
// The second line of defence for "no secret in any log": values that look like one of our tokens, grants or sealed keys, and
// long opaque runs, are cut before they are written. The first line is that nobody passes them.

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  trace(message: string, fields?: LogFields): void;
}

export function createLog(area: string, level: LogLevel, write: (line: string) => void): Log {
  const enabled = logLevels.indexOf(level);
  const at = (rank: LogLevel) => (message: string, fields?: LogFields) => {
    if (logLevels.indexOf(rank) <= enabled) write(`${rank} ${area}: ${clean(message)}${text(fields)}`);
  };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), trace: at('trace') };
}

export const silentLog: Log = createLog('', 'error', () => {});

function text(fields: LogFields | undefined): string {
  let line = '';
  for (const [name, value] of Object.entries(fields ?? {}))
    if (value !== undefined)
      line += ` ${name}=${/[\s"=]/.test(String(value)) ? JSON.stringify(clean(String(value))) : clean(String(value))}`;
  return line;
}

const secretForms =
  /\b(sp1\.|sp[jes]_|xwing\.|x25519\.)[A-Za-z0-9._-]+|[A-Za-z0-9+/_-]{43}=|[A-Za-z0-9+/_-]{64,}={0,2}/g;

function clean(value: string): string {
  // Control characters could forge lines; a 32-byte base64 value could be a key, public or not, so it is shortened.
  return value
    .replace(secretForms, found => `${found.slice(0, 6)}[cut]`)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
}
