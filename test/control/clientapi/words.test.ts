import t from 'tap';
import { check } from '../../../src/control/validate.ts';
import { endpointText, joinToken } from '../../../src/control/clientapi/words.ts';

t.test('endpoints and tokens', async t => {
  for (const good of ['gate.example:51820', '192.0.2.1:1', '[fd00::1]:51820', 'a:9'])
    t.ok(check(endpointText, good).ok, good);
  for (const bad of [
    'gate',
    'gate:0',
    'gate:',
    ':51820',
    'fd00::1:51820',
    '-a:1',
    'a b:1',
    'a:123456',
    'x\n:1',
  ])
    t.notOk(check(endpointText, bad).ok, bad);
  t.ok(check(joinToken, `spj_${'a'.repeat(32)}`).ok);
  t.notOk(check(joinToken, `spe_${'a'.repeat(32)}`).ok);
});
