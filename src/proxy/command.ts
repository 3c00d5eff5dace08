// `sallyport proxy`: settings, TLS, listeners, signals. Returns the exit status when it is told to stop.

import { parse } from 'smol-toml';
import { createLog, levelOf } from '../control/log.ts';
import { listenForStatus } from '../control/wire/statuslistener.ts';
import { untilStopped } from '../control/wire/server.ts';
import type { TlsFiles } from '../control/wire/server.ts';
import { isLoopback, listenAddress, readSettings, tlsFiles } from '../control/settings.ts';
import { errorText, PlainError, usageError } from '../util/errors.ts';
import type { IpPrefix } from '../util/inet.ts';
import { readTrusted } from './forwardedfor.ts';
import { Front } from './front.ts';

export const specs = {
  listen: 'text',
  'core-listen': 'text',
  'core-token': 'secret',
  'tls-cert': 'text',
  'tls-key': 'text',
  'trusted-proxy': 'list',
  'metrics-listen': 'text',
  'log-level': 'text',
  insecure: 'switch',
} as const;

const usage = `usage: sallyport proxy [--config FILE] --listen ADDRESS:PORT --core-listen ADDRESS:PORT --core-token-file FILE
  --tls-cert FILE --tls-key FILE   serve HTTPS and WSS; SIGHUP reads them anew
  --trusted-proxy ADDRESS|PREFIX   load balancers in front, whose X-Forwarded-For is believed (may be repeated)
  --metrics-listen ADDRESS:PORT    /healthz, /readyz and /metrics, plain HTTP; off unless given
  --insecure                       allow plain HTTP on addresses other than loopback
  --log-level error|warn|info|debug|trace`;

export async function run(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(usage + '\n');
    return 0;
  }
  try {
    return await serve(args);
  } catch (error) {
    process.stderr.write(`sallyport proxy: ${errorText(error)}\n`);
    return error instanceof PlainError ? error.exit : 1;
  }
}

async function serve(args: string[]): Promise<number> {
  const warnings: string[] = [];
  const settings = readSettings('proxy', specs, {
    args,
    env: process.env,
    parseFile: text => parse(text),
    warn: line => warnings.push(line),
  });
  const log = createLog({ area: 'proxy', level: levelOf(settings['log-level']) });
  for (const line of warnings) log.warn(line);
  const publicAt = listenAddress('listen', settings.listen ?? '127.0.0.1:8443');
  const coreAt = listenAddress('core-listen', settings['core-listen'] ?? '127.0.0.1:8444');
  const coreToken = settings['core-token'];
  if (coreToken === undefined || coreToken.length < 16)
    throw usageError(
      'no-token',
      'give --core-token-file FILE with at least 16 characters that Core has, too',
    );
  const readTls = (): TlsFiles | undefined => tlsFiles('tls', settings['tls-cert'], settings['tls-key']);
  const tls = readTls();
  if (tls === undefined && !settings.insecure && !(isLoopback(publicAt.host) && isLoopback(coreAt.host)))
    throw usageError(
      'no-tls',
      'plain HTTP is for loopback only: give --tls-cert and --tls-key, or --insecure',
    );
  const front = new Front({ log, coreToken, tls, trustedProxies: settings['trusted-proxy'].map(trusted) });
  const at = await front.listen(publicAt, coreAt).catch((cause: unknown) => {
    throw new PlainError('cannot-listen', `cannot listen: ${errorText(cause)}`, 1, cause);
  });
  const metricsAt = settings['metrics-listen'];
  const status =
    metricsAt === undefined
      ? null
      : await listenForStatus(listenAddress('metrics-listen', metricsAt), {
          notReady: () => front.notReady(),
          metrics: () => front.metrics(),
        });
  front.renewOnHangup(readTls);
  const stopped = untilStopped(); // before the log says that we are ready
  log.info('proxy ready', { public: at.public.port, core: at.core.port, tls: tls !== undefined });
  await stopped;
  await status?.close();
  await front.close();
  return 0;
}

function trusted(text: string): IpPrefix {
  const prefix = readTrusted(text);
  if (prefix !== null) return prefix;
  throw usageError(
    'bad-trusted-proxy',
    `--trusted-proxy must be an address or a prefix such as 192.0.2.0/24, not "${text}"`,
  );
}
