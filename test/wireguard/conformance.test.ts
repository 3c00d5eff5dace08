// The checklist: every row of the conformance document that concerns the protocol core is named in the title of some test,
// or stands here with the reason why it cannot be tested at this level. A row that is in neither fails.

import t from 'tap';
import { readdirSync, readFileSync } from 'node:fs';

const rows: Record<string, number> = { W: 8, H: 16, N: 6, M: 12, S: 9, T: 18, D: 14, R: 7, E: 5, A: 6 };

const elsewhere: Record<string, string> = {
  W7: 'the UDP length field is checked by the kernel; a UDP socket never shows us a mismatch',
  D6: 'checksum completion belongs to datapath/ and the vnet header of platform/',
  D10: 'ECN needs IP_TOS on a real socket (platform/) and the inner header (datapath/)',
  D11: 'flow labels: a socket option, visible only in a capture between namespaces',
  D12: 'SO_MARK: a socket option, visible only in a capture between namespaces',
  D13: 'outer fragmentation and EMSGSIZE need a real path MTU',
  R6: 'checksum flags of the vnet header: datapath/ and platform/',
  E3: 'sockets of both families on one port: platform/',
  E4: 'rebinding the listen port: platform/ and agent/',
  E5: 'a routing loop needs the kernel to route: namespaces',
};

/** Row numbers in the titles of all tests. */
function titled(): Set<string> {
  const root = new URL('../', import.meta.url);
  const found = new Set<string>();
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.test.ts') || file.endsWith('conformance.test.ts')) continue;
    const text = readFileSync(new URL(file, root), 'utf8');
    for (const [, title = ''] of text.matchAll(/\.test\(\s*['"`]([^\n]*)/g))
      for (const [id] of title.matchAll(/\b[WHNMSTDREA]\d+\b/g)) found.add(id);
  }
  return found;
}

const named = titled();
for (const [section, count] of Object.entries(rows)) {
  t.test(`section ${section}`, async t => {
    for (let n = 1; n <= count; n++) {
      const id = `${section}${n}`;
      t.ok(named.has(id) || elsewhere[id], `${id} is tested or explained`);
    }
  });
}

t.test('no reason outlives its row', async t => {
  for (const id of Object.keys(elsewhere)) {
    const count = rows[id[0]!] ?? 0;
    t.ok(Number(id.slice(1)) <= count, id);
  }
});
