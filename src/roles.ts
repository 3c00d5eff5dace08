// Roles of the gateway bundle: what gets flashed. Core, Proxy and client come on top in `main.ts`.

import type { Roles } from './dispatch.ts';

export const gatewayRoles: Roles = {
  agent: {
    usage: '--config FILE',
    ownHelp: true,
    load: async () => (await import('./agent/command.ts')).run,
  },
  tunnel: {
    usage: 'IFNAME [--foreground] [--log-level LEVEL] [--uapi-dir DIR] [--tun-device PATH]',
    load: async () => (await import('./agent/tunnel.ts')).run,
  },
  show: { usage: '[IFNAME] [dump]', load: async () => (await import('./agent/uapi/show.ts')).run },
  health: { usage: '', load: async () => (await import('./agent/health/statuscommand.ts')).health },
  doctor: {
    usage: '[--json] [--config FILE | --uci FILE]',
    load: async () => (await import('./agent/health/doctor.ts')).run,
  },
  bench: { usage: '[--json] [--seconds N]', load: async () => (await import('./agent/bench.ts')).run },
  genkey: { usage: '', load: async () => (await import('./agent/keys.ts')).genkey },
  genpsk: { usage: '', load: async () => (await import('./agent/keys.ts')).genpsk },
  pubkey: { usage: '< PRIVATE-KEY', load: async () => (await import('./agent/keys.ts')).pubkey },
};
