import t from 'tap';
import { agentOptions, closestOption, type Option, optionNames } from '../../../src/agent/config/schema.ts';

t.test('every option: its default and its example are good', async t => {
  for (const name of optionNames) {
    const option: Option<unknown> = agentOptions[name];
    t.ok(option.about.length > 5, name);
    if (option.secret === true) continue;
    const example = JSON.parse(
      /^["[]|^\d|^(true|false)$/.test(option.example) ? option.example : JSON.stringify(option.example),
    ) as unknown;
    t.ok(option.form.value(example).ok, `${name} = ${option.example}`);
  }
});

t.test('what somebody meant', async t => {
  t.equal(closestOption('listenport'), 'listen_port');
  t.equal(closestOption('Listen-Port'), 'listen_port');
  t.equal(closestOption('max_lief'), 'max_life');
  t.equal(closestOption('mut'), null, 'short names are too close to each other');
  t.equal(closestOption('something_else'), null);
});
