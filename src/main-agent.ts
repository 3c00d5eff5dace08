// The entry point of `agent.mjs`, the file that gets flashed: the gateway's roles and nothing of Core, Proxy or client.

import { isMainThread } from 'node:worker_threads';
import { dispatch } from './dispatch.ts';
import { gatewayRoles } from './roles.ts';

const roles = {
  ...gatewayRoles,
  status: { usage: '[--json]', load: async () => (await import('./agent/health/statuscommand.ts')).run },
};

if (isMainThread) void dispatch(roles, process.argv.slice(2)).then(status => (process.exitCode = status));
else void import('./agent/dataplane/worker.ts');
