// Mail over SMTP by nodemailer, which is loaded at the first message. A server that puts a message off (greylisting, a broken
// line) is asked again while the message is of use; what waits is bounded.

import type { Transporter } from 'nodemailer';
import { isLoopback } from '../../control/settings.ts';
import type { Log } from '../../control/log.ts';
import { usageError } from '../../util/errors.ts';

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** `later`: the server put the message off, or has not answered yet. */
export type Sent = 'sent' | 'later' | 'refused';

export interface MailServer {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  /** TLS from the first byte, STARTTLS that must succeed, or none (loopback). */
  readonly tls: 'implicit' | 'starttls' | 'none';
}

export interface MailerOptions extends MailServer {
  readonly log: Log;
  readonly user?: string;
  readonly password?: string;
  /** PEM of the authority; the system's unless given. */
  readonly ca?: string;
  /** Tests are in a hurry. */
  readonly answerWithinMs?: number;
  readonly retryAfterMs?: readonly number[];
}

const waitingMax = 100;
/** The Proxy waits 15 s for Core. */
const answerWithinMs = 8000;
const retryAfterMs: readonly number[] = [30_000, 60_000, 120_000];
const silenceMs = 20_000;

/** What `smtp` and `mail-from` name. */
export function mailServer(url: string, from: string | undefined, isInsecure: boolean): MailServer {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (
    parsed === null ||
    !/^smtps?:$/.test(parsed.protocol) ||
    parsed.hostname === '' ||
    parsed.username !== ''
  )
    throw usageError('bad-smtp', `--smtp must be smtp://HOST:PORT or smtps://HOST:PORT, not "${url}"`);
  if (from === undefined)
    throw usageError('no-sender', '--smtp needs --mail-from ADDRESS, the sender of the messages');
  const isImplicit = parsed.protocol === 'smtps:';
  const isPlain = isInsecure || isLoopback(parsed.hostname);
  return {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? (isImplicit ? 465 : 587) : Number(parsed.port),
    from,
    tls: isImplicit ? 'implicit' : isPlain ? 'none' : 'starttls',
  };
}

export class Mailer {
  readonly #o: MailerOptions;
  readonly #retries = new Set<NodeJS.Timeout>();
  #underWay = 0;
  #transport: Promise<Transporter> | null = null;

  constructor(options: MailerOptions) {
    this.#o = options;
  }

  /** Answers within some seconds; `forMs` is how long the message is of use. */
  async send(mail: Mail, forMs: number): Promise<Sent> {
    if (this.#retries.size + this.#underWay >= waitingMax) {
      this.#o.log.warn('mail not sent: too many wait for the mail server', { waiting: waitingMax });
      return 'refused';
    }
    let timer: NodeJS.Timeout | undefined;
    const slow = new Promise<Sent>(resolve => {
      timer = setTimeout(() => resolve('later'), this.#o.answerWithinMs ?? answerWithinMs);
    });
    const sent = await Promise.race([this.#attempt(mail, forMs, 0), slow]);
    clearTimeout(timer);
    return sent;
  }

  close(): void {
    for (const timer of this.#retries) clearTimeout(timer);
    this.#retries.clear();
    void this.#transport?.then(transport => transport.close());
  }

  async #attempt(mail: Mail, leftMs: number, tries: number): Promise<Sent> {
    const startedAt = performance.now();
    this.#underWay++;
    try {
      const transport = await (this.#transport ??= connect(this.#o));
      await transport.sendMail({ ...mail, from: this.#o.from });
      return 'sent';
    } catch (error) {
      // The server's words may quote the recipient: only the code is logged.
      const status = (error as { responseCode?: number }).responseCode;
      const code = String((error as { code?: unknown }).code ?? 'unknown');
      this.#o.log.warn('mail not sent', { status: status ?? 0, code, tries: tries + 1 });
      if (code === 'EAUTH' || (status !== undefined && status >= 500)) return 'refused';
      return this.#retry(mail, leftMs - (performance.now() - startedAt), tries) ? 'later' : 'refused';
    } finally {
      this.#underWay--;
    }
  }

  #retry(mail: Mail, leftMs: number, tries: number): boolean {
    const afterMs = (this.#o.retryAfterMs ?? retryAfterMs)[tries];
    if (afterMs === undefined || afterMs >= leftMs) return false;
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      void this.#attempt(mail, leftMs - afterMs, tries + 1);
    }, afterMs);
    timer.unref();
    this.#retries.add(timer);
    return true;
  }
}

async function connect(options: MailerOptions): Promise<Transporter> {
  const { createTransport } = await import('nodemailer');
  const { host, port, tls, user, password = '', ca } = options;
  return createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(user === undefined ? {} : { auth: { user, pass: password } }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    connectionTimeout: silenceMs,
    greetingTimeout: silenceMs,
    socketTimeout: silenceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}
