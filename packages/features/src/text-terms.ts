/**
 * Text to hashed terms: words, word pairs, and 3 to 5 letters in a row within a word.
 *
 * Letters in a row join inflections, compounds and misspellings, and unsegmented scripts. Any language;
 * no word list. A term is a 32-bit hash; its weight says how much a kind of term counts against others.
 */

/** Weight of one letter sequence against one word: a word of eight letters has fifteen of them. */
const LETTER_WEIGHT = 0.1;
const PAIR_WEIGHT = 0.5;
const LETTERS_MIN = 3;
const LETTERS_MAX = 5;
/** Characters read of one text and of one word: bounds the time a hostile item can take. */
const MAX_TEXT = 8_192;
const MAX_WORD = 48;
const CACHED_WORDS = 65_536;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a over UTF-16 code units with a final avalanche, so that low bits are usable as a bucket. */
function hash(text: string, from: number, to: number, salt: number): number {
  let value = FNV_OFFSET ^ salt;
  for (let i = from; i < to; i++) value = Math.imul(value ^ text.charCodeAt(i), FNV_PRIME);
  return avalanche(value);
}

/** Mixes all bits of a 32-bit integer (the finaliser of MurmurHash3). */
export function avalanche(value: number): number {
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

interface Word {
  readonly hash: number;
  readonly letters: Uint32Array;
}

function analyseWord(word: string): Word {
  const marked = `<${word}>`;
  const letters: number[] = [];
  for (let n = LETTERS_MIN; n <= LETTERS_MAX; n++) {
    for (let i = 0; i + n <= marked.length; i++) letters.push(hash(marked, i, i + n, n));
  }
  return { hash: hash(word, 0, word.length, 101), letters: Uint32Array.from(letters) };
}

/** Called once per different term of a text. */
export type TermVisitor = (hash: number, weight: number) => void;

/** Reads terms; keeps the analysis of recent words, which makes a catalogue ten times faster to read. */
export function createTermReader(): (text: string, visit: TermVisitor) => void {
  const known = new Map<string, Word>();
  const lookup = (text: string): Word => {
    let word = known.get(text);
    if (word === undefined) {
      if (known.size >= CACHED_WORDS) known.clear();
      known.set(text, (word = analyseWord(text)));
    }
    return word;
  };
  return (text, visit) => {
    const words: number[] = [];
    const pairs: number[] = [];
    const letters: number[] = [];
    const normal = text.slice(0, MAX_TEXT).normalize('NFKC').toLowerCase();
    for (const phrase of normal.split(/[\n,;|>]/)) {
      let previous: Word | null = null;
      for (const match of phrase.match(/[\p{L}\p{N}\p{M}]+/gu) ?? []) {
        const word = lookup(match.slice(0, MAX_WORD));
        words.push(word.hash);
        for (const hash of word.letters) letters.push(hash);
        if (previous !== null) pairs.push(pairHash(previous.hash, word.hash));
        previous = word;
      }
    }
    visitCounted(words, 1, visit);
    visitCounted(pairs, PAIR_WEIGHT, visit);
    visitCounted(letters, LETTER_WEIGHT, visit);
  };
}

function pairHash(first: number, second: number): number {
  return avalanche(Math.imul(first, 31) ^ second ^ 0x5bd1e995);
}

/** Weights are sublinear in the count: a word said five times is not five times as telling. */
function visitCounted(hashes: number[], scale: number, visit: TermVisitor): void {
  const sorted = Uint32Array.from(hashes).sort();
  for (let from = 0, to = 0; from < sorted.length; from = to) {
    while (to < sorted.length && sorted[to] === sorted[from]) to++;
    visit(sorted[from]!, scale * (1 + Math.log(to - from)));
  }
}
