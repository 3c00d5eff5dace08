import t from 'tap';
import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { askCore, execute, serveAdmin, socketPath } from '../../../src/core/admin/socket.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

t.test('asks the running Core', async t => {
  const directory = shortDirectory(t);
  const path = socketPath(directory);
  t.equal(await askCore(path, ['user', 'list']), null, 'nobody is there');
  writeFileSync(path, ''); // left over by a crash
  const desk = new Desk();
  const server = await serveAdmin(path, desk);
  t.teardown(() => void server.close());
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.match((await askCore(path, ['user', 'add', 'ada']))!.text, /user ada/);
  t.match((await askCore(path, ['apply', 'f', '[[user]]\nname="bob"']))!.text, /\+ user bob/);
  t.equal(desk.store.people.users().length, 2);
  await t.rejects(askCore(path, ['user', 'add', 'ada']), { code: 'exists', exit: 1 });
  await t.rejects(askCore(path, ['user', 'dance']), { code: 'unknown-verb', exit: 2 });
  await t.rejects(serveAdmin(path, desk), { code: 'core-running', message: /stop it first/ });
  await t.rejects(askCore(path, []), { code: 'bad-request' });
  desk.store.close();
  await t.rejects(askCore(path, ['user', 'list']), { code: 'internal' });
  const flood = connect(path);
  flood.on('error', () => {});
  flood.write('x'.repeat(600_000));
  await new Promise(resolve => flood.on('close', resolve));
});

t.test('the same words without a Core', async t => {
  const desk = new Desk();
  t.match(execute(desk, ['user', 'add', 'ada']).text, /ada/);
  t.equal(socketPath('/x'), join('/x', 'core.sock'));
});
