import { InvalidRequest, isError } from '@nestrec/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTimestamp } from './timestamps.js';
import { decodeToken, encodeToken } from './token.js';
import { createEventWaiter } from './wait-for-events.js';

const NOW_MS = Date.UTC(2026, 10, 23, 12);

describe('tokens', () => {
  it('give back the greatest offset of each partition', () => {
    const position = fc.record({
      partition: fc.nat(255),
      offset: fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }),
    });
    fc.assert(
      fc.property(fc.array(position, { minLength: 1, maxLength: 400 }), (positions) => {
        const decoded = decodeToken(encodeToken(positions));
        for (const { partition, offset } of decoded) {
          const all = positions.filter((one) => one.partition === partition);
          expect(all.every((one) => one.offset <= offset)).toBe(true);
          expect(all.some((one) => one.offset === offset)).toBe(true);
        }
        expect(new Set(decoded.map((one) => one.partition)).size).toBe(decoded.length);
        expect(decoded.length).toBe(new Set(positions.map((one) => one.partition)).size);
      }),
    );
  });

  it('that are not ours are refused, whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.base64String(), fc.stringMatching(/^[\w-]+$/)),
        (text) => {
          try {
            decodeToken(text);
          } catch (error) {
            expect(isError(error, InvalidRequest)).toBe(true);
          }
        },
      ),
    );
    const forged = Buffer.from('p1:0@99999999999999999999').toString('base64url');
    expect(() => decodeToken(forged)).toThrow();
  });
});

describe('readTimestamp', () => {
  const read = (value: string | number) => readTimestamp(value, 't', NOW_MS);

  it.each([
    ['2026-11-23T12:05:00Z', Date.UTC(2026, 10, 23, 12, 5)],
    ['2000-01-01T00:00:00Z', Date.UTC(2000, 0, 1)],
    ['2026-11-23T13:00:00.5+01:00', NOW_MS + 500],
    [NOW_MS, NOW_MS],
  ])('takes %s', (value, timestampMs) => {
    expect(read(value)).toEqual({ ok: true, timestampMs });
  });

  it.each([
    '2026-11-23T12:05:00.001Z',
    '1999-12-31T23:59:59.999Z',
    0,
    -5,
    9e15,
    1e300,
    Number.MAX_SAFE_INTEGER,
  ])('refuses %s', (value) => {
    expect(read(value)).toMatchObject({ ok: false, fault: { path: 't', got: String(value) } });
  });

  it('names both readings of seconds that were sent as milliseconds', () => {
    const verdict = read(1_700_000_000);
    expect(verdict).toMatchObject({ ok: false });
    const { want } = (verdict as { fault: { want: string } }).fault;
    expect(want).toContain('1970-01-20T16:13:20.000Z as milliseconds');
    expect(want).toContain('2023-11-14T22:13:20.000Z as seconds');
    expect(want).toContain('send 1700000000000');
  });
});

describe('createEventWaiter', () => {
  const at = (partition: number, offset: bigint) => ({ partition, offset });

  it('is content once every partition is beyond its offset', async () => {
    const answers = [
      new Map<number, bigint>(),
      new Map([[0, 5n]]),
      new Map([
        [0, 6n],
        [1, 1n],
      ]),
    ];
    let asked = 0;
    const wait = createEventWaiter(async () => answers[Math.min(asked++, 2)]!);
    expect(await wait([at(0, 5n), at(1, 0n)], 10_000)).toBe(true);
    expect(asked).toBe(3);
  });

  it('gives up at the limit', async () => {
    let nowMs = 0;
    const wait = createEventWaiter(
      async () => {
        nowMs += 40;
        return new Map([[0, 1n]]);
      },
      () => nowMs,
    );
    expect(await wait([at(0, 1n)], 100)).toBe(false);
    expect(nowMs).toBeGreaterThanOrEqual(100);
  });

  it('asks the database no more often for a hundred who wait than for one', async () => {
    let asked = 0;
    const wait = createEventWaiter(async () => new Map([[0, asked++ < 3 ? 0n : 9n]]));
    const all = Array.from({ length: 100 }, (_, n) => wait([at(0, BigInt(n % 9))], 10_000));
    expect(await Promise.all(all)).toEqual(all.map(() => true));
    expect(asked).toBe(4);
  });

  it('tells all who wait when the question fails, and answers those who come after', async () => {
    let asked = 0;
    const wait = createEventWaiter(async () => {
      if (asked++ === 0) throw new Error('database down');
      return new Map([[0, 1n]]);
    });
    const verdicts = await Promise.allSettled([wait([at(0, 0n)], 100), wait([at(0, 0n)], 100)]);
    expect(verdicts[0]).toMatchObject({ status: 'rejected' });
    expect(await wait([at(0, 0n)], 100)).toBe(true);
  });

  it('does not wait at all for what is applied', async () => {
    const wait = createEventWaiter(async () => new Map([[0, 1n]]));
    expect(await wait([at(0, 0n)], 0)).toBe(true);
  });
});
