// Health: how the gateway is, for the health and readiness probes, metrics, `status` and the bus.

import { wipe } from '../../util/bytes.ts';
import type { Admission } from '../control/admission.ts';
import type { CoreChannel } from '../control/corechannel.ts';
import type { CoreClock } from '../control/coreclock.ts';
import type { DeviceState, Link, SessionEvent } from '../dataplane/commands.ts';
import { processFacts } from '../../control/processfacts.ts';
import { metricsText } from './metrics.ts';
import { type RecentEnd, statusReport, type StatusReport } from './statusreport.ts';
import type { Check, StatusSources } from './statusserver.ts';
import { version } from '../version.ts';

const recentEndsKept = 20;
const healthWithinMs = 2000;

export interface ConditionParts {
  readonly link: Link;
  readonly ifname: string;
  readonly agent: string;
  readonly core: CoreChannel;
  readonly coreUrl: string;
  readonly location: () => string;
  readonly admission: Admission;
  readonly clock: CoreClock;
}

export class Health implements StatusSources {
  readonly #parts: ConditionParts;
  readonly #recentEnds: RecentEnd[] = [];

  constructor(parts: ConditionParts) {
    this.#parts = parts;
  }

  /** The end of a session, to be told of for a while. */
  note({ id, device, reason }: SessionEvent, atMs: number): void {
    if (reason === undefined) return;
    this.#recentEnds.push({ id, device, reason, at: new Date(atMs).toISOString() });
    if (this.#recentEnds.length > recentEndsKept) this.#recentEnds.shift();
  }

  state(): Promise<DeviceState> {
    return stateOf(this.#parts.link);
  }

  /** Whether the data plane answers. */
  async health(): Promise<Check> {
    let timer!: NodeJS.Timeout;
    const answer = await Promise.race([
      this.#parts.link.request({ op: 'sessions' }).then(
        () => true,
        () => false,
      ),
      new Promise<null>(resolve => (timer = setTimeout(resolve, healthWithinMs, null))),
    ]);
    clearTimeout(timer);
    if (answer === true) return { ok: true };
    return { ok: false, why: answer === null ? 'the data plane does not answer' : 'the data plane is gone' };
  }

  /** Ready to carry sessions: with Core away those of before go on, and the cached configuration is in use. */
  async ready(): Promise<Check> {
    const health = await this.health();
    if (!health.ok) return health;
    const { isUp } = await this.state();
    return isUp === true
      ? { ok: true }
      : { ok: false, why: `interface ${this.#parts.ifname} is down or its port is taken` };
  }

  async metrics(): Promise<string> {
    const { core, admission } = this.#parts;
    return metricsText({
      state: await this.state(),
      version,
      core: { connected: core.isConnected, reconnects: core.reconnects },
      grants: admission.results,
      ends: admission.ends,
      process: await processFacts(),
    });
  }

  async status(): Promise<StatusReport> {
    const { core, agent, location, coreUrl, clock } = this.#parts;
    return statusReport({
      state: await this.state(),
      version,
      agent,
      location: location(),
      core: {
        url: coreUrl,
        phase: core.phase,
        connected: core.isConnected,
        reconnects: core.reconnects,
        lastError: core.lastError,
      },
      clock: clock.source,
      recentEnds: this.#recentEnds,
    });
  }
}

/** The state of the device. Keys stay in the data plane: the copies that came along are wiped at once. */
export async function stateOf(link: Link): Promise<DeviceState> {
  const state = await link.request({ op: 'state' });
  if (state.privateKey !== null) wipe(state.privateKey);
  for (const peer of state.peers) wipe(peer.presharedKey);
  return state;
}
