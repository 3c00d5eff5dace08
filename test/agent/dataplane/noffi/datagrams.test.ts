import t from 'tap';
import { Datagrams } from '../../../../src/agent/dataplane/noffi/datagrams.ts';
import { Arena } from '../../../../src/util/arena.ts';

t.test('bind, rebind, marks, close', async t => {
  const warnings: string[] = [];
  const make = (): Datagrams =>
    new Datagrams({
      arena: new Arena(new ArrayBuffer(1 << 17)),
      onReadable: () => undefined,
      onError: () => undefined,
      warn: message => warnings.push(message),
    });
  const [one, other] = [make(), make()];
  t.equal(one.setPort(0), 0, 'not open yet');
  t.equal(one.of(4), null);
  t.equal(one.bind(), 0);
  t.equal(one.of(4), one.v4);
  t.equal(one.of(6), one.v6);
  t.equal(one.of(0), null);
  t.equal(other.bind(), 0);
  const { v4, port } = other;
  t.equal(other.setPort(one.port), -98);
  t.equal(other.of(4), v4, 'the sockets stay');
  t.equal(other.port, port);
  t.equal(one.setMark(0), 0);
  t.equal(one.setMark(7), -1);
  t.match(warnings, [/^fwmark 7 is refused: .*leave it 0/]);
  t.equal(one.mark, 0);
  one.close();
  t.equal(other.setPort(one.port), 0);
  t.equal(other.bind(), 0);
  other.close();
});
