import type { Plugin } from 'rollup';

export const validation: string;
export const dates: string;
export function unreached(isSmall: boolean): Plugin;
