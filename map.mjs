// Coverage map of tap: a unit test counts only for the source file of the same name, so that an end-to-end test cannot
// hide a unit without tests. `load-all` maps to nothing but loads everything: an avoided file counts as uncovered.

const elsewhere = /^test[\\/](sim|interop|fuzz|e2e|house|firmware)[\\/]/;

export default test => {
  if (elsewhere.test(test)) return null;
  if (test.endsWith('load-all.test.ts')) return [];
  return test.replace(/^test/, 'src').replace(/\.test\.ts$/, '.ts');
};
