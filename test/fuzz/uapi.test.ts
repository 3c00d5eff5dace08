// UAPI parser under hostile and half-right lines. Invariant: an error number of the list or a change, never a throw, and
// what is handed out is always well-formed. SEED= replays, FUZZ_RUNS= goes on for longer.

import t from 'tap';
import { errno, SetParser } from '../../src/agent/uapi/parse.ts';

const keys = [
  'private_key',
  'listen_port',
  'fwmark',
  'replace_peers',
  'public_key',
  'update_only',
  'remove',
  'preshared_key',
  'endpoint',
  'persistent_keepalive_interval',
  'replace_allowed_ips',
  'allowed_ip',
  'protocol_version',
  'errno',
  '',
  '__proto__',
  'constructor',
];
const values = [
  'true',
  'false',
  '',
  '0',
  '1',
  '65535',
  '65536',
  '4294967296',
  '-1',
  '11'.repeat(32),
  '00'.repeat(32),
  '1.2.3.4/8',
  '-::1/128',
  '::ffff:1.2.3.4/96',
  '1.2.3.4:5',
  '[fe80::1%eth0]:51820',
  '[::1]:',
  '=',
  '\0',
  '\u00ff'.repeat(40),
  '9'.repeat(400),
];

const good = [
  `public_key=${'11'.repeat(32)}`,
  `preshared_key=${'22'.repeat(32)}`,
  'update_only=true',
  'remove=true',
  'endpoint=[fe80::1%eth0]:51820',
  'persistent_keepalive_interval=25',
  'replace_allowed_ips=true',
  'allowed_ip=10.0.0.0/8',
  'allowed_ip=-::/0',
  'protocol_version=1',
];

t.test('a change or an error number', async t => {
  const seed = Number(process.env['SEED'] ?? 7);
  const rounds = Number(process.env['FUZZ_RUNS'] ?? 20_000);
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * below);
  };
  const answers: readonly number[] = Object.values(errno);
  let ok = 0;
  for (let round = 0; round < rounds; round++) {
    const parser = new SetParser();
    const lines: string[] = [];
    try {
      for (let i = random(12); i >= 0; i--) {
        let line = `${keys[random(keys.length)]}=${values[random(values.length)]}`;
        if (random(4) !== 0) line = good[i > 8 ? 0 : random(good.length)]!;
        if (random(8) === 0) {
          const at = random(line.length);
          line = line.slice(0, at) + String.fromCharCode(random(256)) + line.slice(at + random(2));
        }
        lines.push(line);
        const code = parser.accept(line);
        if (!answers.includes(code)) throw new Error(`answer ${code}`);
        if (code !== 0) break;
        ok++;
      }
      for (const change of [...parser.take(random(2) === 0), ...parser.take(true)]) {
        for (const peer of change.peers) {
          if (peer.publicKey.length !== 32) throw new Error('key length');
          if (peer.presharedKey && peer.presharedKey.length !== 32) throw new Error('PSK length');
          for (const ip of peer.allowedIps ?? []) {
            if (ip.address.length !== (ip.family === 4 ? 4 : 16) || ip.prefix > 8 * ip.address.length)
              throw new Error('prefix');
          }
        }
      }
    } catch (error) {
      t.fail(`seed ${seed}, round ${round}: ${String(error)}`, { lines });
      return;
    }
  }
  t.ok(ok > rounds / 10, `${ok} lines were good`);
});
