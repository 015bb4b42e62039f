/**
 * Length and order of texts as UTF-8, computed on the text itself: contracts are read by browsers too, which
 * have no `Buffer`. Texts are well-formed; a lone surrogate counts as the three bytes that replace it.
 */

/** Bytes that the text takes as UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      bytes += 1;
    } else {
      bytes += 2;
      // The two halves of a pair are four bytes together, so its second unit adds none.
      if (isHigh(unit) && isLow(text.charCodeAt(at + 1))) at++;
    }
  }
  return bytes;
}

/** Bytewise order of the UTF-8 of two well-formed texts, as PostgreSQL compares under COLLATE "C". */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left !== right) return bytewise(left) - bytewise(right);
  }
  return a.length - b.length;
}

/** UTF-16 puts pairs, which are above U+FFFF, before U+E000 to U+FFFF; UTF-8 puts them behind. */
function bytewise(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000;
