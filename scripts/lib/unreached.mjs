// Parts of libraries that nothing here can reach, left out of the bundles: what stands here instead says the same to those who ask.

/**
 * Of ws, in both bundles. Compression next to secrets is an oracle, so both ends of the channel have it off (control/wire/dial.ts,
 * acceptor.ts): ws asks only for its name, and the extension header is never written or parsed. Listeners are set with `on`,
 * never as in a browser.
 */
const ofWs = new Map([
  ['permessage-deflate.js', `module.exports = { extensionName: 'permessage-deflate' };`],
  ['extension.js', `module.exports = {};`],
  ['event-target.js', `module.exports = { EventTarget: {} };`],
]);

/** Of ws in the gateway's file, which reads no token of a header, sends no Blob, and meets no runtime without `isUtf8`. */
export const validation = `module.exports = {
  isBlob: () => false,
  isValidUTF8: require('node:buffer').isUtf8,
  // RFC 6455 §7.4: what a close frame may say
  isValidStatusCode: code =>
    code < 3000 ? code > 999 && code < 1015 && code !== 1004 && code !== 1005 && code !== 1006 : code < 5000,
};`;

/** Of smol-toml in the gateway's file: no setting is a date, so one is told to be invalid, with its line. */
export const dates = 'export class TomlDate { isValid() { return false } }';

/** The rollup plugin; `isSmall` for the gateway's file. */
export function unreached(isSmall) {
  return {
    name: 'unreached',
    load(id) {
      const [, library, file] = /\/(ws\/lib|smol-toml\/dist)\/([^/]+)$/.exec(id) ?? [];
      if (library === 'ws/lib')
        return (isSmall && file === 'validation.js' ? validation : ofWs.get(file)) ?? null;
      return isSmall && file === 'date.js' ? dates : null;
    },
  };
}
