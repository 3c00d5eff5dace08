// Host: what the gateway needs of the machine it runs on.

import type { StartDataplane } from './dataplane/options.ts';
import type { Notify } from './health/sdnotify.ts';
import type { Kernel } from './routes.ts';

/** What the gateway needs of the machine; replaced in tests. */
export interface Host {
  readonly start: StartDataplane;
  /** Null where another program configures the interface. */
  readonly kernel: Kernel | null;
  /** Milliseconds of the clock that counts suspend. */
  readonly bootMs: () => number;
  readonly wallMs: () => number;
  /** To a service manager; absent where there is none to hear it. */
  readonly notify?: Notify | null;
  readonly delay?: (attempt: number) => number;
}
