/**
 * Looks for what `JSON.parse` forgives or drops: duplicate keys, `__proto__`, deep nesting, endless names.
 *
 * One pass over the text without building anything, so that a hostile header costs no memory. It does
 * not check that the text is JSON; `JSON.parse` does that afterwards.
 */
import { excerpt } from '@nestrec/errors';
import { refuse } from './refuse.js';

export interface JsonLimits {
  readonly depth: number;
  readonly keyLength: number;
  readonly keys: number;
}

/** Throws `InvalidTensorFile` when `text` breaks `limits`, repeats a key in one object, or has a key `__proto__`. */
export function checkJsonKeys(text: string, limits: JsonLimits): void {
  const open: (Set<string> | null)[] = [];
  let keys = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : null);
      if (open.length > limits.depth) refuse(`header nests deeper than ${limits.depth}`);
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === '"') {
      const end = stringEnd(text, i);
      const object = open.at(-1);
      if (object && isKey(text, end)) {
        if (++keys > limits.keys) refuse(`header has more than ${limits.keys} keys`);
        addKey(object, text, i, end, limits);
      }
      i = end;
    }
  }
}

/** Index of the closing quote of the string that opens at `start` (the text's end when it never closes). */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

function isKey(text: string, end: number): boolean {
  let i = end + 1;
  while (i < text.length && ' \t\n\r'.includes(text[i]!)) i++;
  return text[i] === ':';
}

function addKey(
  keys: Set<string>,
  text: string,
  start: number,
  end: number,
  limits: JsonLimits,
): void {
  if (end - start - 1 > limits.keyLength) {
    refuse(`header has a key longer than ${limits.keyLength} characters (byte ${8 + start})`);
  }
  const raw = text.slice(start + 1, end);
  const key = raw.includes('\\') ? unescape(text.slice(start, end + 1)) : raw;
  if (key === '__proto__') refuse(`header has the key __proto__ (byte ${8 + start})`);
  if (keys.has(key)) refuse(`header has the key "${excerpt(key)}" twice`);
  keys.add(key);
}

function unescape(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return refuse(`header has the malformed key ${excerpt(quoted)}`);
  }
}
