// stub
import type { Network } from './tunnel.ts';
export function openNetwork(_ifname: string): Network {
  return { configure: async () => {}, undo: async () => {} };
}
