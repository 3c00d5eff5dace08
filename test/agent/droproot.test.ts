import t from 'tap';
import { becomeUser, renounceNewRights, type Rights } from '../../src/agent/droproot.ts';

function rights(uid = 0): { did: string[]; rights: Rights } {
  const did: string[] = [];
  return {
    did,
    rights: {
      getuid: () => uid,
      initgroups: (user, group) => void did.push(`groups ${user} ${group}`),
      setgid: id => void did.push(`gid ${id}`),
      setuid: id => void did.push(`uid ${id}`),
    },
  };
}

t.test('groups first, the user last', async t => {
  const { did, rights: given } = rights();
  becomeUser('sallyport', 'sallyport', given);
  t.same(did, ['groups sallyport sallyport', 'gid sallyport', 'uid sallyport']);
});

t.test('numbers are numbers', async t => {
  const { did, rights: given } = rights();
  becomeUser('453', undefined, given);
  t.same(did, ['groups 453 453', 'gid 453', 'uid 453']);
});

t.test('nothing to do', async t => {
  const { did, rights: given } = rights(453);
  becomeUser('453', '453', given);
  becomeUser('', '', given);
  t.same(did, []);
});

t.test('a user that does not exist, or no right to change', async t => {
  const given: Rights = {
    getuid: () => 0,
    initgroups: () => {
      throw new Error('User identifier does not exist');
    },
  };
  t.throws(() => becomeUser('nobody-here', undefined, given), { code: 'user', exit: 2 });
});

t.test('no new rights', async t => {
  const calls: unknown[] = [];
  renounceNewRights(
    (name, parameters) =>
      (...words) =>
        calls.push([name, parameters, words]),
  );
  t.same(calls, [['prctl', 5, [38, 1, 0, 0, 0]]]);
  renounceNewRights(() => null);
});
