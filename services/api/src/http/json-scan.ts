/**
 * Reads a JSON text once, before it is parsed, for what JSON.parse accepts but we do not: nesting that is
 * too deep, a key that stands twice, and keys that reach an object's prototype. Gives the position of a
 * syntax fault too, so that no message of the engine (which quotes the body) has to be shown.
 *
 * Iterative: depth costs memory by the byte, never the stack.
 */

export type JsonFault =
  | { readonly kind: 'syntax'; readonly position: number }
  | { readonly kind: 'too_deep'; readonly position: number }
  | { readonly kind: 'duplicate_key'; readonly position: number; readonly key: string }
  | { readonly kind: 'forbidden_key'; readonly position: number; readonly key: string };

/** Keys that mean something to JavaScript itself. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERALS = ['true', 'false', 'null'];

/** What may stand at the present place. */
type Expect = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'comma-or-end' | 'nothing';

/** The first fault of `text`, or null where it is JSON that may be parsed. */
export function scanJson(text: string, maxDepth: number): JsonFault | null {
  return new Scanner(text, maxDepth).scan();
}

class Scanner {
  private position = 0;
  private expect: Expect = 'value';
  /** One entry per open container: the keys seen of an object, null for an array. */
  private readonly open: (Set<string> | null)[] = [];

  constructor(
    private readonly text: string,
    private readonly maxDepth: number,
  ) {}

  scan(): JsonFault | null {
    for (;;) {
      this.skipSpace();
      if (this.position >= this.text.length) {
        return this.expect === 'nothing' ? null : this.syntax();
      }
      const fault = this.next(this.text[this.position]!);
      if (fault !== null) return fault;
    }
  }

  private next(character: string): JsonFault | null {
    switch (this.expect) {
      case 'nothing':
        return this.syntax();
      case 'key-or-end':
        return character === '}' ? this.close() : this.key(character);
      case 'key':
        return this.key(character);
      case 'comma-or-end':
        return this.commaOrEnd(character);
      case 'value-or-end':
        return character === ']' ? this.close() : this.value(character);
      case 'value':
        return this.value(character);
    }
  }

  private value(character: string): JsonFault | null {
    if (character === '{' || character === '[') {
      if (this.open.length >= this.maxDepth) return this.fault('too_deep');
      this.open.push(character === '{' ? new Set() : null);
      this.position++;
      this.expect = character === '{' ? 'key-or-end' : 'value-or-end';
      return null;
    }
    if (character === '"') {
      if (!this.skipString()) return this.syntax();
      return this.afterValue();
    }
    const literal = LITERALS.find((word) => this.text.startsWith(word, this.position));
    if (literal !== undefined) {
      this.position += literal.length;
      return this.afterValue();
    }
    NUMBER.lastIndex = this.position;
    const number = NUMBER.exec(this.text);
    if (number === null) return this.syntax();
    this.position += number[0].length;
    return this.afterValue();
  }

  private key(character: string): JsonFault | null {
    const start = this.position;
    if (character !== '"' || !this.skipString()) return this.syntax();
    const key = JSON.parse(this.text.slice(start, this.position)) as string;
    if (FORBIDDEN_KEYS.has(key)) return { kind: 'forbidden_key', position: start, key };
    const seen = this.open.at(-1)!;
    if (seen!.has(key)) return { kind: 'duplicate_key', position: start, key };
    seen!.add(key);
    this.skipSpace();
    if (this.text[this.position] !== ':') return this.syntax();
    this.position++;
    this.expect = 'value';
    return null;
  }

  private commaOrEnd(character: string): JsonFault | null {
    const isObject = this.open.at(-1) !== null;
    if (character === ',') {
      this.position++;
      this.expect = isObject ? 'key' : 'value';
      return null;
    }
    return character === (isObject ? '}' : ']') ? this.close() : this.syntax();
  }

  private close(): null {
    this.open.pop();
    this.position++;
    return this.afterValue();
  }

  private afterValue(): null {
    this.expect = this.open.length === 0 ? 'nothing' : 'comma-or-end';
    return null;
  }

  /** Moves past the string that starts here; false, with the position at the fault, where it is none. */
  private skipString(): boolean {
    const { text } = this;
    for (this.position++; this.position < text.length; this.position++) {
      const code = text.charCodeAt(this.position);
      if (code === 0x22) {
        this.position++;
        return true;
      }
      if (code < 0x20) return false;
      if (code === 0x5c && !this.skipEscape()) return false;
    }
    return false;
  }

  /** Moves to the last character of the escape that starts here. */
  private skipEscape(): boolean {
    this.position++;
    const escaped = this.text[this.position];
    if (escaped === undefined) return false;
    if (escaped !== 'u') return '"\\/bfnrt'.includes(escaped);
    if (!/^[0-9a-fA-F]{4}$/.test(this.text.slice(this.position + 1, this.position + 5)))
      return false;
    this.position += 4;
    return true;
  }

  private skipSpace(): void {
    for (; this.position < this.text.length; this.position++) {
      const code = this.text.charCodeAt(this.position);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  private syntax(): JsonFault {
    return this.fault('syntax');
  }

  private fault(kind: 'syntax' | 'too_deep'): JsonFault {
    return { kind, position: this.position };
  }
}
