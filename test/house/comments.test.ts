// Comments of src/ as CONTRIBUTING.md wants them: three lines at most, and no persons where there are programs.

import t from 'tap';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('../../src/', import.meta.url).pathname;
const persons = /\b(some(body|one)|any(body|one)|every(body|one)|nobody|whoever)\b/i;

interface Comment {
  readonly line: number;
  readonly text: string;
}

/** Line comments on consecutive lines are one; of a block comment only lines with words count. */
function comments(source: string): Comment[] {
  const found: { line: number; text: string }[] = [];
  let isInBlock = false;
  let isOpen = false;
  for (const [i, line] of source.split('\n').entries()) {
    const own = isInBlock ? line : (/^\s*(\/\/.*|\/\*.*)/.exec(line)?.[1] ?? null);
    const text = own ?? /\s(\/\/ .*)$/.exec(line)?.[1] ?? '';
    if (text.trimStart().startsWith('/*') && !isInBlock) isInBlock = true;
    if (own !== null && isOpen) found.at(-1)!.text += `\n${text}`;
    else if (text !== '') found.push({ line: i + 1, text });
    isOpen = own !== null && !(isInBlock && text.includes('*/'));
    if (text.includes('*/')) isInBlock = false;
  }
  return found;
}

const length = ({ text }: Comment): number =>
  text.split('\n').filter(line => /[\p{L}\p{N}]/u.test(line)).length;

function faults(source: string): string[] {
  return comments(source).flatMap(comment => [
    ...(length(comment) > 3 ? [`${comment.line}: ${length(comment)} lines`] : []),
    ...(persons.test(comment.text) ? [`${comment.line}: ${persons.exec(comment.text)![0]}`] : []),
  ]);
}

t.test('planted faults are found', async t => {
  t.strictSame(faults('// a\n// b\n// c\n\n// d\nlet x; // e'), []);
  t.strictSame(faults('// a\n// b\n// c\n// d\n'), ['1: 4 lines']);
  t.strictSame(faults('/**\n * a\n * b\n * c\n */\n/** d */\n'), []);
  t.strictSame(faults('/**\n * a\n * b\n * c\n * d\n */\n'), ['1: 4 lines']);
  t.strictSame(faults('f(); // nobody hears it\n'), ['1: nobody']);
});

t.test('src/ has none', async t => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
  const wrong = files.flatMap(file =>
    faults(readFileSync(join(root, file), 'utf8')).map(fault => `src/${file}:${fault}`),
  );
  t.strictSame(wrong, [], 'say it in three lines of plain words, or write a decision record');
});
