// The types of shortnames.mjs, which is not TypeScript because rollup bundles its own configuration.

export function shortNames(root: string): {
  buildStart(): void;
  transform(code: string, id: string): { code: string; map: null } | null;
};
