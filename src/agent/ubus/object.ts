// What the object `sallyport` on OpenWrt's bus can do: status, sessions, logout, reload, and the events hotplug scripts get.
// `ubus call sallyport status` and LuCI see the same report as `sallyport status --json`. Knows the gateway only by the few
// functions it is given.

import { describeEnd, endReasons } from '../../control/clientapi/reasons.ts';
import type { Log } from '../../control/log.ts';
import { fromHex, toBase64 } from '../../util/bytes.ts';
import { type Blob, type BlobTable, blobType } from './blobmsg.ts';
import type { SessionEvent } from '../dataplane/commands.ts';
import type { StatusReport } from '../health/statusreport.ts';
import { Ubus, type UbusMethod, type UbusOptions, UbusRefusal } from './connection.ts';
import { ubusStatus } from './message.ts';

export interface BusGateway {
  report(): Promise<StatusReport>;
  /** By session id or by the device's public key in base64; false when there is no such session. */
  logout(session: string): Promise<boolean>;
  reload(): void;
  /** Returns the function that stops listening. */
  onSession(listener: (event: SessionEvent) => void): () => void;
}

const coreEveryMs = 5000;

export class BusObject {
  readonly #bus: Pick<Ubus, 'close' | 'hotplug' | 'isRegistered'>;
  readonly #gateway: BusGateway;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  /** User and addresses of each session: an ended one is in no report. */
  readonly #who = new Map<string, { user: string; addresses: string }>();
  #isConnected: boolean | null = null;
  #interface = '';

  constructor(
    gateway: BusGateway,
    log: Log,
    options: Partial<Pick<UbusOptions, 'name' | 'socketPath' | 'delay'>> & {
      readonly open?: (options: UbusOptions) => Pick<Ubus, 'close' | 'hotplug' | 'isRegistered'>;
    } = {},
  ) {
    this.#gateway = gateway;
    this.#log = log;
    const { open = (given: UbusOptions): Ubus => new Ubus(given), ...rest } = options;
    this.#bus = open({
      name: 'sallyport',
      ...rest,
      methods: busMethods(gateway),
      onState: (state, status) => {
        if (state === 'refused')
          log.warn('ubus does not take our object: is /usr/share/acl.d/sallyport.json installed?', {
            status,
          });
        else log.debug(`ubus: ${state}`);
      },
    });
    this.#stopListening = gateway.onSession(event => void this.#onSession(event).catch(() => undefined));
    this.#timer = setInterval(() => void this.look().catch(() => undefined), coreEveryMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    this.#bus.close();
  }

  /** Notices whether Core came or went since the last look. */
  async look(): Promise<void> {
    if (!this.#bus.isRegistered) return;
    const { core, interface: ifname } = await this.#gateway.report();
    this.#interface = ifname;
    if (core.connected === this.#isConnected) return;
    const isFirst = this.#isConnected === null;
    this.#isConnected = core.connected;
    if (!isFirst || core.connected) await this.#tell({ ACTION: core.connected ? 'core-up' : 'core-down' });
  }

  async #onSession(event: SessionEvent): Promise<void> {
    if (event.kind !== 'confirmed' && event.kind !== 'ended') return;
    if (event.kind === 'confirmed') await this.#remember(event.id);
    const who = this.#who.get(event.id);
    const key = fromHex(event.device);
    const variables = {
      SESSION: event.id,
      DEVICE: key === null ? '' : toBase64(key),
      USERNAME: who?.user ?? '',
      ADDRESSES: who?.addresses ?? '',
    };
    if (event.kind === 'confirmed') return this.#tell({ ACTION: 'peer-login', ...variables });
    this.#who.delete(event.id);
    const reason = event.reason ?? 'policy';
    return this.#tell({
      ACTION: 'peer-logout',
      ...variables,
      REASON: reason,
      REASON_TEXT: describeEnd(reason),
      RX_BYTES: `${event.counters.rx}`,
      TX_BYTES: `${event.counters.tx}`,
    });
  }

  async #remember(id: string): Promise<void> {
    const { sessions, interface: ifname } = await this.#gateway.report();
    this.#interface = ifname;
    const found = sessions.find(session => session.id === id);
    if (found !== undefined) this.#who.set(id, { user: found.user, addresses: found.addresses.join(' ') });
  }

  async #tell(variables: Readonly<Record<string, string>>): Promise<void> {
    if (!this.#bus.isRegistered) return;
    const status = await this.#bus.hotplug({ ...variables, INTERFACE: this.#interface });
    if (status !== ubusStatus.ok && status !== ubusStatus.notFound)
      this.#log.debug('hotplug scripts were not run', { action: variables['ACTION'], status });
  }
}

export function busMethods(gateway: BusGateway): Readonly<Record<string, UbusMethod>> {
  return {
    status: { parameters: {}, call: async () => asTable(await gateway.report()) },
    sessions: {
      parameters: {},
      call: async () => {
        const { sessions, recentEnds } = await gateway.report();
        const ends = recentEnds.map(end => ({ ...end, text: describeEnd(end.reason) }));
        return asTable({ sessions, recentEnds: ends, reasons: endReasons });
      },
    },
    logout: {
      parameters: { session: blobType.string },
      call: async ({ session }) => {
        if (typeof session !== 'string' || session === '') throw new UbusRefusal(ubusStatus.invalidArgument);
        if (!(await gateway.logout(session))) throw new UbusRefusal(ubusStatus.notFound);
        return undefined;
      },
    },
    reload: {
      parameters: {},
      call: () => {
        gateway.reload();
        return undefined;
      },
    },
  };
}

/** Reports are plain data already; what JSON would leave out is left out. */
function asTable(report: object): BlobTable {
  return JSON.parse(JSON.stringify(report)) as { [name: string]: Blob };
}
