import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scanJson } from './json-scan.js';

const DEPTH = 8;
const parses = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
const isSyntaxFault = (text: string) => scanJson(text, 1_000)?.kind === 'syntax';

describe('scanJson', () => {
  it('finds no fault in what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2, '\t'), (value, space) => {
        expect(isSyntaxFault(JSON.stringify(value, null, space))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('agrees with JSON.parse on whether a damaged text is JSON', () => {
    const damaged = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.nat(5),
        fc.constantFrom(
          '',
          ',',
          '"',
          '}',
          ']',
          '\\',
          '-',
          '0',
          '.',
          'e',
          ':',
          '\n',
          '\u0000',
          'u12',
        ),
      )
      .map(([text, at, cut, put]) => {
        const from = at % (text.length + 1);
        return text.slice(0, from) + put + text.slice(from + cut);
      });
    fc.assert(
      fc.property(damaged, (text) => {
        const fault = scanJson(text, 1_000);
        // The other kinds of fault are found in the part that is sound so far.
        if (fault !== null && fault.kind !== 'syntax') return;
        expect(fault === null, text).toBe(parses(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it.each([
    '01',
    '1.',
    '.5',
    '+1',
    '1e',
    '-',
    '"\t"',
    '"\\x"',
    '"\\u12g4"',
    '[1,]',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    'NaN',
    '\ufeff{}',
    '{"a" 1}',
    '[1 2]',
    'nul',
    '',
  ])('refuses %j as JSON.parse does', (text) => {
    expect(parses(text)).toBe(false);
    expect(isSyntaxFault(text)).toBe(true);
  });

  it('says where the fault is', () => {
    expect(scanJson('{"a": tru}', DEPTH)).toEqual({ kind: 'syntax', position: 6 });
    expect(scanJson('{"a":', DEPTH)).toEqual({ kind: 'syntax', position: 5 });
  });

  it('counts depth by containers, exactly', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(scanJson(nested(DEPTH), DEPTH)).toBeNull();
    expect(scanJson(nested(DEPTH + 1), DEPTH)).toMatchObject({ kind: 'too_deep', position: DEPTH });
  });

  it('finds repeated and forbidden keys however they are escaped, at any depth', () => {
    expect(scanJson('{"a":[{"b":1,"\\u0062":2}]}', DEPTH)).toMatchObject({
      kind: 'duplicate_key',
      key: 'b',
    });
    expect(scanJson('[{"\\u005f\\u005fproto__":1}]', DEPTH)).toMatchObject({
      kind: 'forbidden_key',
    });
    expect(scanJson('{"a":{"a":{"a":1}},"b":"__proto__"}', DEPTH)).toBeNull();
  });

  it('reads a megabyte of the worst kinds in time that grows with its length', () => {
    const texts = (length: number) => [
      '['.repeat(length),
      `"${'\\u0041'.repeat(length / 6)}"`,
      '1'.repeat(length),
      `"${'\\'.repeat(length)}`,
      ' '.repeat(length),
      `{${Array.from({ length: length / 16 }, (_, i) => `"key${i}":1`).join()}}`,
    ];
    // Processor time: the clock on the wall also counts what else this machine does.
    const cost = (length: number) => {
      const before = process.cpuUsage();
      for (const text of texts(length)) scanJson(text, 8);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const leastMicroseconds = 5_000;
    // Ten times the length: ten times the time, where a quadratic reader takes a hundred times.
    expect(cost(1e6)).toBeLessThan(40 * Math.max(leastMicroseconds, cost(1e5)));
  });
});
