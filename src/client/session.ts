// Session: what the client knows about its login, and how it learns it. Core tells over an event stream (sessions, section
// 6); the parser below reads it, `SessionTruth` keeps what is true now. When nobody can tell, it says so: a client that
// claims to be logged in while the gateway has closed the door is worse than one that admits it does not know.
// Pure: bytes and times come in as arguments.

import { describeEnd, isEndReason } from '../control/reasons.ts';

export type SessionPhase = 'none' | 'live' | 'ended';

export type SessionView = {
  readonly phase: SessionPhase;
  readonly id?: string;
  readonly sinceWallMs?: number;
  readonly expiresWallMs?: number;
  /** One word of the enum every role uses. */
  readonly reason?: string;
  readonly endedWallMs?: number;
  /** Whether Core's word is current: the stream is open. */
  readonly following: boolean;
  /** Last warning: milliseconds left when it was given. */
  readonly warnedMs?: number;
};

export type Granted = { readonly id: string; readonly wallMs: number; readonly expiresWallMs: number | null };

export type StreamEvent = { readonly event: string; readonly data: Record<string, unknown> };

export class SessionTruth {
  #view: SessionView = { phase: 'none', following: false };

  get view(): SessionView {
    return this.#view;
  }

  granted(grant: Granted): void {
    this.#view = {
      phase: 'live',
      id: grant.id,
      sinceWallMs: grant.wallMs,
      ...(grant.expiresWallMs === null ? {} : { expiresWallMs: grant.expiresWallMs }),
      following: false,
    };
  }

  following(yes: boolean): void {
    this.#view = { ...this.#view, following: yes };
  }

  /** True when this event ended the session: the caller takes the PSK out of the tunnel. */
  receive(event: StreamEvent, wallMs: number): boolean {
    if (this.#view.phase !== 'live') return false;
    const { data } = event;
    switch (event.event) {
      case 'warn':
        this.#view = { ...this.#view, ...(typeof data.leftMs === 'number' ? { warnedMs: data.leftMs } : {}) };
        return false;
      case 'extended':
        if (typeof data.until === 'number') this.#view = { ...this.#view, expiresWallMs: data.until };
        return false;
      case 'ended':
        this.ended(typeof data.reason === 'string' ? data.reason : 'unknown', wallMs);
        return true;
      default:
        return false; // a newer server may say more
    }
  }

  ended(reason: string, wallMs: number): void {
    if (this.#view.phase !== 'live') return;
    const { warnedMs: _, ...rest } = this.#view;
    this.#view = { ...rest, phase: 'ended', reason, endedWallMs: wallMs, following: false };
  }

  /** Nobody needs to tell us that the agreed end has passed. */
  tick(wallMs: number): boolean {
    const { phase, expiresWallMs } = this.#view;
    if (phase !== 'live' || expiresWallMs === undefined || wallMs < expiresWallMs) return false;
    this.ended('expired', wallMs);
    return true;
  }
}

/** One line for people: what is true about the session. */
export function sessionLine(view: SessionView, wallMs: number): string {
  switch (view.phase) {
    case 'none':
      return 'not logged in';
    case 'ended':
      return `logged out: ${isEndReason(view.reason) ? `${describeEnd(view.reason)} (${view.reason})` : 'reason unknown'}`;
    case 'live': {
      const left = view.expiresWallMs === undefined ? '' : `, ${duration(view.expiresWallMs - wallMs)} left`;
      return `logged in since ${duration(wallMs - (view.sinceWallMs ?? wallMs))}${left}${view.following ? '' : '; no news from the server, the gateway may have ended it'}`;
    }
    default:
      return view.phase satisfies never;
  }
}

function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Server-sent events (WHATWG HTML, section 9.2), the parts we use. Lines longer than `maxLine` end the stream. */
export class EventParser {
  readonly #decoder = new TextDecoder();
  readonly #maxLine: number;
  #rest = '';
  #event = 'message';
  #data: string[] = [];

  constructor(maxLine = 64 * 1024) {
    this.#maxLine = maxLine;
  }

  /** Events completed by this part; null when the stream is not one we can follow. */
  feed(part: Uint8Array): StreamEvent[] | null {
    this.#rest += this.#decoder.decode(part, { stream: true });
    const lines = this.#rest.split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > this.#maxLine) return null;
    const events: StreamEvent[] = [];
    for (const line of lines) {
      if (line.length > this.#maxLine) return null;
      if (line !== '') {
        this.#field(line);
        continue;
      }
      const data = parseObject(this.#data.join('\n'));
      if (data !== null) events.push({ event: this.#event, data });
      this.#event = 'message';
      this.#data = [];
    }
    return events;
  }

  #field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
  }
}

function parseObject(text: string): Record<string, unknown> | null {
  if (text === '') return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
