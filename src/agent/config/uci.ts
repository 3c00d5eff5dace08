// UCI files (OpenWrt's libuci, file.c): read without starting `uci`, written back in its own style. Uncommitted changes
// below /tmp/.uci are not looked at: they are drafts. What the options mean is uciconfig.ts. Pure: text in, data out.

export interface UciSection {
  readonly type: string;
  /** Null for an anonymous section, which `uci show` calls `@TYPE[N]`. */
  readonly name: string | null;
  readonly options: Map<string, string | string[]>;
  /** Where it begins, for messages. */
  readonly line: number;
}

export interface UciFile {
  readonly package: string | null;
  readonly sections: readonly UciSection[];
  /** Lines that were skipped, as libuci skips them when it is not strict; for people. */
  readonly problems: readonly string[];
}

interface Word {
  readonly text: string;
  readonly line: number;
}

export function parseUci(text: string): UciFile {
  const sections: UciSection[] = [];
  const problems: string[] = [];
  let name: string | null = null;
  let current: UciSection | null = null;
  const bad = ({ line }: { line: number }, why: string): void => void problems.push(`line ${line}: ${why}`);

  for (const words of statements(text, problems)) {
    const [keyword, first, second, extra] = words;
    if (extra !== undefined) {
      bad(extra, `'${extra.text}' is too much: a value with spaces needs quotes`);
      continue;
    }
    switch (keyword!.text) {
      case 'package':
      case 'p':
        if (first === undefined) bad(keyword!, 'package: the name is missing');
        else name = first.text;
        break;
      case 'config':
      case 'c':
        current = null;
        if (first === undefined) bad(keyword!, 'config: the type is missing');
        else if (!/^[A-Za-z0-9_.-]+$/.test(first.text)) bad(first, `config: '${first.text}' is not a type`);
        else if (second !== undefined && second.text !== '' && !isName(second.text))
          bad(second, `config: '${second.text}' is not a name: letters, digits and _ are expected`);
        else current = openSection(sections, first, second);
        break;
      case 'option':
      case 'o':
      case 'list':
      case 'l':
        if (first === undefined || second === undefined || !isName(first.text))
          bad(keyword!, `${keyword!.text}: expected ${keyword!.text} NAME 'VALUE'`);
        else if (current === null) bad(keyword!, `${first.text} stands in no section`);
        else if (keyword!.text.startsWith('o')) current.options.set(first.text, second.text);
        else {
          const before = current.options.get(first.text);
          const list = before === undefined ? [] : typeof before === 'string' ? [before] : before;
          current.options.set(first.text, [...list, second.text]);
        }
        break;
      default:
        bad(keyword!, `'${keyword!.text}': expected config, option or list`);
    }
  }
  return { package: name, sections, problems };
}

/** A named section given twice is one. */
function openSection(sections: UciSection[], type: Word, name: Word | undefined): UciSection {
  const known = name?.text || null;
  const same = known === null ? undefined : sections.find(section => section.name === known);
  if (same !== undefined) return same;
  const section = {
    type: type.text,
    name: known,
    options: new Map<string, string | string[]>(),
    line: type.line,
  };
  sections.push(section);
  return section;
}

function isName(text: string): boolean {
  return /^[A-Za-z0-9_]+$/.test(text);
}

/** Words of each statement: a line, or a part of one between semicolons. */
function* statements(text: string, problems: string[]): Generator<Word[]> {
  let words: Word[] = [];
  let line = 1;
  let at = 0;
  const end = function* (): Generator<Word[]> {
    if (words.length > 0) yield words;
    words = [];
  };
  while (at < text.length) {
    const char = text[at]!;
    if (char === '\n') {
      yield* end();
      line++;
      at++;
    } else if (char === ';') {
      yield* end();
      at++;
    } else if (char === '#') while (at < text.length && text[at] !== '\n') at++;
    else if (/\s/.test(char)) at++;
    else {
      const word = readWord(text, at);
      if (word.isOpen) {
        problems.push(`line ${line}: a quote is not closed`);
        return;
      }
      words.push({ text: word.value, line });
      line += word.lines;
      at = word.end;
    }
  }
  yield* end();
}

/** Quoted and bare pieces side by side are one word: `'it'\''s'`. */
function readWord(
  text: string,
  start: number,
): { value: string; end: number; lines: number; isOpen: boolean } {
  let value = '';
  let lines = 0;
  let at = start;
  const count = (char: string): string => {
    if (char === '\n') lines++;
    return char;
  };
  while (at < text.length) {
    const char = text[at]!;
    if (char === "'") {
      const close = text.indexOf("'", at + 1);
      if (close < 0) return { value, end: at, lines, isOpen: true };
      for (const inside of text.slice(at + 1, close)) value += count(inside);
      at = close + 1;
    } else if (char === '"') {
      at++;
      while (at < text.length && text[at] !== '"') {
        if (text[at] === '\\' && at + 1 < text.length) at++;
        value += count(text[at++]!);
      }
      if (at >= text.length) return { value, end: at, lines, isOpen: true };
      at++;
    } else if (char === '\\') {
      if (text[at + 1] === '\n')
        lines++; // a continuation: nothing of it remains
      else value += text[at + 1] ?? '';
      at += 2;
    } else if (/[\s;#]/.test(char)) break;
    else {
      value += char;
      at++;
    }
  }
  return { value, end: Math.min(at, text.length), lines, isOpen: false };
}

/** As `uci export` writes. */
export function formatUci({ package: name, sections }: Pick<UciFile, 'package' | 'sections'>): string {
  let text = name === null ? '' : `package ${name}\n`;
  for (const section of sections) {
    text += `\nconfig ${section.type}${section.name === null ? '' : ` ${quote(section.name)}`}\n`;
    for (const [option, value] of section.options) {
      if (typeof value === 'string') text += `\toption ${option} ${quote(value)}\n`;
      else for (const item of value) text += `\tlist ${option} ${quote(item)}\n`;
    }
  }
  return text;
}

export function quote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
