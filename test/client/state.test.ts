import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Store, chooseLocation, stateDir, withLocations } from '../../src/client/state.ts';
import { clientState, location } from '../fixtures/system/client.ts';

t.test('saved state is private and comes back the same', t => {
  const store = new Store(join(t.testdir(), 'deep', 'sallyport'));
  t.equal(store.isEnrolled, false);
  const state = clientState();
  store.save(state);
  t.equal(store.isEnrolled, true);
  t.equal(statSync(store.file).mode & 0o777, 0o600);
  t.equal(statSync(store.dir).mode & 0o777, 0o700);
  t.strictSame(store.load(), state);
  t.end();
});

t.test('what cannot be used is refused in one line', t => {
  const store = new Store(t.testdir());
  t.throws(() => store.load(), { code: 'not-enrolled', exit: 2 });
  store.save(clientState());
  chmodSync(store.file, 0o644);
  t.throws(() => store.load(), { code: 'state-open', exit: 2 });
  chmodSync(store.file, 0o600);
  for (const [text, code] of [
    ['{', 'state-broken'],
    ['[]', 'state-broken'],
    [JSON.stringify({ ...clientState(), privateKey: 'short' }), 'state-broken'],
    [JSON.stringify({ ...clientState(), version: 2 }), 'state-version'],
  ] as const) {
    writeFileSync(store.file, text);
    t.throws(() => store.load(), { code, exit: 2, message: /^[^\n]+$/ });
  }
  const file = join(t.testdir({ plain: 'x' }), 'plain');
  t.throws(() => new Store(join(file, 'below')).save(clientState()), { code: 'state-unwritable' });
  t.end();
});

t.test('a broken state never shows the key in its error', t => {
  const store = new Store(t.testdir());
  mkdirSync(store.dir, { recursive: true });
  const secret = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U9';
  writeFileSync(store.file, JSON.stringify({ ...clientState(), privateKey: `${secret}!` }), { mode: 0o600 });
  try {
    store.load();
    t.fail('loaded');
  } catch (error) {
    t.notMatch(String(error), secret);
  }
  t.end();
});

t.test('locations are found by name or id; the only one needs no name', t => {
  const one = clientState();
  t.equal(chooseLocation(one, undefined).id, 'loc-1');
  t.equal(chooseLocation(one, 'Office').id, 'loc-1');
  t.equal(chooseLocation(one, 'loc-1').id, 'loc-1');
  t.throws(() => chooseLocation(one, 'nowhere'), { code: 'unknown-location', message: /Office/ });
  const two = clientState([location(), location({ id: 'loc-2', name: 'Lab' })]);
  t.throws(() => chooseLocation(two, undefined), { code: 'which-location', message: /Office, Lab/ });
  t.throws(() => chooseLocation(clientState([]), undefined), { code: 'no-location' });
  t.end();
});

t.test('the locations of the latest login are those there are', t => {
  const one = clientState([location()]);
  const lab = location({ id: 'loc-2', name: 'Lab' });
  const next = withLocations(one, [lab]);
  t.strictSame(next.enrolled, { ...one.enrolled, locations: [lab] });
  t.equal(next.privateKey, one.privateKey);
  t.end();
});

t.test('where the state is, and sockets that fit into an address', t => {
  t.equal(stateDir('/x', { SALLYPORT_STATE: '/y' }), '/x');
  t.equal(stateDir(undefined, { SALLYPORT_STATE: '/y' }), '/y');
  t.equal(stateDir(undefined, { XDG_CONFIG_HOME: '/z' }), '/z/sallyport');
  t.match(stateDir(undefined, {}), /\.config\/sallyport$/);
  t.equal(new Store('/s').socketFile(location()), '/s/loc-1.sock');
  t.throws(() => new Store(`/${'x'.repeat(110)}`).socketFile(location()), { code: 'socket-path', exit: 2 });
  t.equal(new Store('/s').logFile(location()), '/s/loc-1.log');
  t.end();
});
