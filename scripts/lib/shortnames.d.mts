export function shortNames(root: string): {
  buildStart(): void;
  transform(code: string, id: string): { code: string; map: null } | null;
};
