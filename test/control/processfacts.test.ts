import t from 'tap';
import { processFacts } from '../../src/control/processfacts.ts';

t.test('what this process uses', async t => {
  const facts = await processFacts();
  t.ok(facts.residentBytes > facts.heapBytes / 4 && facts.heapBytes > 1e6);
  t.ok(facts.cpuSeconds > 0 && facts.loopLagSeconds >= 0);
  t.ok(Math.abs(facts.startSeconds - (Date.now() / 1000 - process.uptime())) < 2);
});
