import { InternalError, InvalidParameter } from '@nestrec/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeParameter, json, parseArray, parserOf } from './values.js';

const encode = (value: unknown) => encodeParameter(value, 'p');

describe('parameters', () => {
  it('become PostgreSQL text, and bytes stay bytes', () => {
    const bytes = new Uint8Array([1]);
    expect(encode(bytes)).toBe(bytes);
    expect([null, undefined, true, 1.5, 2n ** 63n].map(encode)).toEqual([
      null,
      null,
      'true',
      '1.5',
      '9223372036854775808',
    ]);
    expect(encode(new Date(0))).toBe('1970-01-01T00:00:00.000Z');
    expect(encode(json([1, 'a']))).toBe('[1,"a"]');
    expect(encode(json(undefined))).toBe('null');
  });

  it('make array literals in which no element can break out', () => {
    expect(encode(['a"b', '\\', '', 'NULL', null, '}{,'])).toBe(
      '{"a\\"b","\\\\","","NULL",NULL,"}{,"}',
    );
    expect(encode([[1, 2], Float32Array.of(3, 4)])).toBe('{{1,2},{3,4}}');
    expect(encode([new Uint8Array([255])])).toBe('{"\\\\xff"}');
    expect(encode([json({ a: '"' })])).toBe('{"{\\"a\\":\\"\\\\\\"\\"}"}');
  });

  it('survive writing and parsing, whatever the strings', () => {
    const unit = fc.constantFrom(...'"\\{},N', 'NULL', ' ', '\n', 'é', '😀');
    const strings = fc.array(fc.option(fc.string({ unit }), { nil: null }));
    fc.assert(
      fc.property(strings, (values) => {
        expect(parseArray(encode(values) as string, (text) => text)).toEqual(values);
      }),
    );
  });

  it('say which parameter is wrong, and show at most 64 characters of it', () => {
    let error: unknown;
    try {
      encode(['fine', `${'x'.repeat(300)}\u0000`]);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: InvalidParameter.code,
      detail: expect.stringMatching(/^p\[1\]: got x{63}…, wanted text without NUL characters$/),
    });
  });

  it.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a plain object without json()', { a: 1 }],
    ['a Map', new Map()],
  ])('refuse %s as a mistake of ours', (_, value) => {
    expect(() => encode(value)).toThrow(
      expect.objectContaining({ code: InternalError.code }) as Error,
    );
  });
});

describe('parsers', () => {
  it('know times with microseconds, which Date cuts', () => {
    const parse = parserOf(1184);
    expect(parse('2026-11-23 10:00:00+00')).toEqual(new Date('2026-11-23T10:00:00Z'));
    expect(parse('2026-11-23 10:00:00.123456+00')).toEqual(new Date('2026-11-23T10:00:00.123Z'));
    expect(parserOf(1114)('2026-11-23 10:00:00.5')).toEqual(new Date('2026-11-23T10:00:00.5Z'));
  });

  it.each(['infinity', '-infinity', '0044-03-15 00:00:00+00 BC'])('refuse the time %s', (text) => {
    expect(() => parserOf(1184)(text)).toThrow(/no clock shows/);
  });

  it('read arrays with other lower bounds and nested ones', () => {
    expect(parserOf(1007)('[0:1]={7,8}')).toEqual([7, 8]);
    expect(parserOf(1007)('{{1,2},{NULL,4}}')).toEqual([
      [1, 2],
      [null, 4],
    ]);
  });

  it('leave unknown types as text', () => {
    expect(parserOf(999_999)('[1,2]')).toBe('[1,2]');
  });
});
