import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CURSOR_CHARACTERS } from '@nestrec/contracts';
import { decodeCursor, MAX_PAGED_ITEMS, NOTHING_SHOWN } from './cursor.js';

const ids = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => `item-${from + i}`);

describe('a cursor', () => {
  it('knows exactly the items of all pages before, for any ids', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ unit: 'grapheme', maxLength: 8 }), { maxLength: 20 }),
        (all) => {
          const half = all.length >> 1;
          const first = NOTHING_SHOWN.cursorWith(all.slice(0, half))!;
          if (half === 0) return;
          const shown = decodeCursor(decodeCursor(first).cursorWith(all.slice(half))!);
          expect(shown.count).toBe(all.length);
          for (const id of all) expect(shown.has(id)).toBe(true);
          expect(shown.has('never shown, and longer')).toBe(false);
        },
      ),
    );
  });

  it('ends with the depth that pages may reach, and then still fits what the API takes', () => {
    const last = NOTHING_SHOWN.cursorWith(ids(0, MAX_PAGED_ITEMS - 1))!;
    expect(last.length).toBeLessThan(MAX_CURSOR_CHARACTERS);
    expect(decodeCursor(last).cursorWith(ids(MAX_PAGED_ITEMS, 1))).toBeNull();
  });

  it('that was cut, changed or made up is refused with the cure', () => {
    const whole = NOTHING_SHOWN.cursorWith(ids(0, 3))!;
    const changed = `${whole.slice(0, 5)}${whole[5] === 'A' ? 'B' : 'A'}${whole.slice(6)}`;
    for (const text of [
      whole.slice(0, -3),
      changed,
      `${whole}AA`,
      ' ',
      'x',
      "' OR 1=1 --",
      `${whole}=`,
    ]) {
      expect(() => decodeCursor(text)).toThrow(
        expect.objectContaining({
          code: 'invalid_request',
          fields: [
            { path: 'cursor', got: 'another text', want: 'next of an earlier answer, unchanged' },
          ],
        }),
      );
    }
  });
});
