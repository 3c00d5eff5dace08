// What the gateway's file has in the place of parts of libraries answers as they do.

import { createRequire } from 'node:module';
import t from 'tap';
import { dates, validation } from '../../scripts/lib/unreached.mjs';

type Validation = {
  isBlob(value: unknown): boolean;
  isValidUTF8(bytes: Uint8Array): boolean;
  isValidStatusCode(code: number): boolean;
};

const load = createRequire(import.meta.url);

function evaluate(text: string): Validation {
  const module = { exports: {} as Validation };
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- it is the text that goes into the bundle
  new Function('module', 'require', text)(module, load);
  return module.exports;
}

t.test('close codes and UTF-8, as ws judges them', async t => {
  const ours = evaluate(validation);
  const theirs = load(
    new URL('../../node_modules/ws/lib/validation.js', import.meta.url).pathname,
  ) as Validation;
  const differing = Array.from({ length: 6000 }, (_, code) => code).filter(
    code => ours.isValidStatusCode(code) !== theirs.isValidStatusCode(code),
  );
  t.strictSame(differing, []);
  for (const bytes of [[], [65], [0xc3, 0xa4], [0xc3], [0xff], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80]])
    t.equal(ours.isValidUTF8(Buffer.from(bytes)), theirs.isValidUTF8(Buffer.from(bytes)), bytes.join(' '));
  t.notOk(ours.isBlob(Buffer.from('no Blob')));
});

t.test('every date is invalid', async t => {
  const { TomlDate } = (await import(`data:text/javascript,${encodeURIComponent(dates)}`)) as {
    TomlDate: new (text: string) => { isValid(): boolean };
  };
  t.notOk(new TomlDate('1979-05-27').isValid());
});
