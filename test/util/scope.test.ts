import t from 'tap';
import { atEnd, wipeAtEnd } from '../../src/util/scope.ts';

t.test('secrets are wiped when the scope ends, also by an error', async t => {
  const [one, two] = [new Uint8Array(4).fill(1), new Uint8Array(4).fill(2)];
  const use = (isBad: boolean): number => {
    using _wiped = wipeAtEnd(one, two);
    if (isBad) throw new Error('bad');
    return one[0]! + two[0]!;
  };
  t.equal(use(false), 3);
  t.same([...one, ...two], [0, 0, 0, 0, 0, 0, 0, 0]);
  one.fill(1);
  t.throws(() => use(true), /bad/);
  t.same([...one], [0, 0, 0, 0]);
});

t.test('actions run in reverse order', async t => {
  const order: string[] = [];
  {
    using _outer = atEnd(() => order.push('outer'));
    using _inner = atEnd(() => order.push('inner'));
    order.push('body');
  }
  t.strictSame(order, ['body', 'inner', 'outer']);
});
