// What the client knows about its login. Core tells by an event stream (docs/protocol.md), which the parser below reads;
// `SessionTruth` keeps what is true now, and admits when it does not know: better than to claim a session that the gateway has ended.
// Pure: bytes and times come in as arguments.

import { sessionEvent } from '../../control/clientapi/bodies.ts';
import type { SessionEvent, SessionInfo } from '../../control/clientapi/bodies.ts';
import { describeEnd } from '../../control/clientapi/reasons.ts';
import type { EndReason } from '../../control/clientapi/reasons.ts';
import { read } from '../../control/validate.ts';

export type SessionPhase = 'none' | 'live' | 'ended';

export type SessionView = {
  readonly phase: SessionPhase;
  readonly id?: string;
  readonly sinceWallMs?: number;
  readonly expiresWallMs?: number;
  readonly reason?: EndReason;
  readonly endedWallMs?: number;
  /** Whether Core's events arrive: the stream is open. */
  readonly following: boolean;
  /** Seconds that were left at the last warning. */
  readonly warnedSeconds?: number;
};

/** Times are the client's clock; Core's is used only through differences. */
export class SessionTruth {
  #view: SessionView = { phase: 'none', following: false };

  get view(): SessionView {
    return this.#view;
  }

  granted(session: SessionInfo, wallMs: number): void {
    const expiresWallMs = wallMs + (session.expiresAt - session.now);
    this.#view = { phase: 'live', id: session.id, sinceWallMs: wallMs, expiresWallMs, following: false };
  }

  following(yes: boolean): void {
    this.#view = { ...this.#view, following: yes };
  }

  /** True when this event ended the session: the caller takes the PSK out of the tunnel. */
  receive(event: SessionEvent, wallMs: number): boolean {
    if (this.#view.phase !== 'live') return false;
    switch (event.event) {
      case 'warn':
        this.#view = { ...this.#view, warnedSeconds: event.secondsLeft };
        return false;
      case 'state':
      case 'extended':
        this.#view = { ...this.#view, expiresWallMs: wallMs + (event.session.expiresAt - event.session.now) };
        return false;
      case 'ended':
        return this.ended(event.reason, wallMs);
      default:
        return event satisfies never;
    }
  }

  /** False when there was no session to end. */
  ended(reason: EndReason | null, wallMs: number): boolean {
    const { phase, id, sinceWallMs } = this.#view;
    if (phase !== 'live') return false;
    this.#view = {
      phase: 'ended',
      ...(id ? { id } : {}),
      ...(sinceWallMs ? { sinceWallMs } : {}),
      ...(reason ? { reason } : {}),
      endedWallMs: wallMs,
      following: false,
    };
    return true;
  }

  /** The agreed end has passed: it follows from the clock. */
  tick(wallMs: number): boolean {
    const { phase, expiresWallMs } = this.#view;
    return (
      phase === 'live' &&
      expiresWallMs !== undefined &&
      wallMs >= expiresWallMs &&
      this.ended('expired', wallMs)
    );
  }
}

/** One line for people: what is true about the session. */
export function sessionLine(view: SessionView, wallMs: number): string {
  switch (view.phase) {
    case 'none':
      return 'not logged in';
    case 'ended':
      if (view.reason === undefined) return 'logged out: reason unknown';
      if (view.reason === 'logout-user') return 'logged out';
      return `logged out: ${describeEnd(view.reason)} (${view.reason})`;
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

/** Server-sent events (WHATWG HTML, section 9.2), the parts we use. A line longer than `maxLine` ends the stream. */
export class EventParser {
  readonly #decoder = new TextDecoder();
  readonly #maxLine: number;
  #rest = '';
  #data: string[] = [];

  constructor(maxLine: number = 16 * 1024) {
    this.#maxLine = maxLine;
  }

  /** Events completed by this part, those of a newer server left out; null when this is no stream we can follow. */
  feed(part: Uint8Array): SessionEvent[] | null {
    const text = this.#rest + this.#decoder.decode(part, { stream: true });
    // A CR at the very end may be half of a CRLF.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > this.#maxLine) return null;
    const events: SessionEvent[] = [];
    for (const line of lines) {
      if (line.length > this.#maxLine) return null;
      // The name of the event is repeated inside the data, where it is checked with the rest.
      if (line.startsWith('data:')) this.#data.push(line.slice(5).replace(/^ /, ''));
      if (line !== '' || this.#data.length === 0) continue;
      const event = read(sessionEvent, this.#data.join('\n'));
      this.#data = [];
      if (event.ok) events.push(event.value);
    }
    return events;
  }
}
