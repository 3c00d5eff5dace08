// The size of the house: no room with more than twelve files, no file with more than 400 lines, each room with a README.

import t from 'tap';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = new URL('../../src/', import.meta.url).pathname;
const roomMax = 12;
const linesMax = 400;

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
const rooms = new Map<string, number>();
for (const file of files) rooms.set(dirname(file), (rooms.get(dirname(file)) ?? 0) + 1);

t.test('rooms', async t => {
  t.ok(rooms.size > 20, 'the rooms are seen');
  for (const [room, count] of rooms) {
    t.ok(count <= roomMax, `src/${room} has ${count} files: at most ${roomMax}`);
    if (room !== '.')
      t.ok(existsSync(join(root, room, 'README.md')), `src/${room}/README.md says what lives there`);
  }
});

t.test('files', async t => {
  for (const file of files) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length - 1;
    t.ok(lines <= linesMax, `src/${file} has ${lines} lines: at most ${linesMax}`);
  }
});
