// The entry point of `sallyport.mjs`: every role. With `main-agent.ts` the only reader of process.argv. A worker thread is always the
// data plane's: it loads only that, which finds its worker data and starts by itself.

import { isMainThread } from 'node:worker_threads';
import { dispatch, type Roles } from './dispatch.ts';
import { gatewayRoles } from './roles.ts';

const client = (usage: string, name: string): Roles[string] => ({
  usage,
  ownHelp: true,
  load: async () => {
    const { run } = await import('./client/command.ts');
    return args => run([name, ...args]);
  },
});

const clientStatus = client('[LOCATION] [--json]', 'status');

const roles: Roles = {
  ...gatewayRoles,
  core: {
    usage: '[--config FILE] | apply FILE [--dry-run] | user|device|location|agent|session|audit …',
    ownHelp: true,
    load: async () => (await import('./core/command.ts')).run,
  },
  proxy: {
    usage: '[--config FILE]',
    ownHelp: true,
    load: async () => (await import('./proxy/command.ts')).run,
  },
  enrol: client('--proxy URL --token-file FILE', 'enrol'),
  login: client('[LOCATION]', 'login'),
  up: client('[LOCATION]', 'up'),
  down: client('[LOCATION]', 'down'),
  status: {
    ...clientStatus,
    // On a gateway that is no enrolled client, the agent is meant.
    load: async () => {
      const { Store, stateDir } = await import('./client/state.ts');
      const agent = await import('./agent/health/statuscommand.ts');
      const isClient = new Store(stateDir(undefined, process.env)).isEnrolled || !agent.isHere();
      return isClient ? clientStatus.load() : agent.run;
    },
  },
  logout: client('[LOCATION]', 'logout'),
};

if (isMainThread) void dispatch(roles, process.argv.slice(2)).then(status => (process.exitCode = status));
else void import('./agent/dataplane/worker.ts');
