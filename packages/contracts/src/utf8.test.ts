import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareUtf8, utf8Length } from './utf8.js';

/** Units on both sides of every border that UTF-8 and UTF-16 have. */
const text = fc.string({
  unit: fc.oneof(
    fc.constantFrom('a', '\u007f', '\u0080', '\u07ff', '\u0800', '\ud7ff', '\ue000', '\uffff'),
    fc.constantFrom('\u{10000}', '\u{1f600}', '\u{10ffff}'),
  ),
  maxLength: 6,
});

describe('UTF-8 without Buffer', () => {
  it('counts the bytes that Buffer counts, lone surrogates included', () => {
    const any = fc.oneof(text, fc.string({ unit: fc.constantFrom('\ud800', '\udc00', 'x', 'é') }));
    fc.assert(fc.property(any, (one) => utf8Length(one) === Buffer.byteLength(one)));
  });

  it('orders well-formed texts as their bytes are ordered', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareUtf8(a, b))).toBe(bytes);
      }),
    );
  });
});
