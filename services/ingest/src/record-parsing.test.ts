import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRecord } from './record-parsing.js';

const NOW_MS = Date.UTC(2026, 10, 23);
const event = {
  ...{ schema_version: 1, event_id: 'e', user_id: 'u', item_id: 'i' },
  ...{ type: 'view', timestamp_ms: NOW_MS, value: 1.5 },
};
const parse = (value: unknown, key = 'u') =>
  parseRecord({ key, value: new TextEncoder().encode(JSON.stringify(value)) }, NOW_MS);

describe('parseRecord', () => {
  it('gives the event of a well-formed record', () => {
    expect(parse(event)).toEqual({ event });
    expect(parse({ ...event, value: null })).toEqual({ event: { ...event, value: null } });
  });

  it('names the field at fault and quotes at most 64 characters of it', () => {
    expect(parse({ ...event, item_id: '' }).fault).toEqual({
      ...{ reason: 'invalid_id', detail: 'item_id is empty: got ""' },
    });
    const long = parse({ ...event, user_id: 'x'.repeat(9_999) }).fault!;
    expect(long.detail).toMatch(/^user_id is longer than 256 bytes/);
    expect(long.detail.length).toBeLessThan(120);
    expect(parse({ ...event, timestamp_ms: 1.5 }).fault?.detail).toMatch(/^timestamp_ms: /);
    expect(parse({ ...event, surprise: 1 }).fault?.detail).toMatch(/surprise/);
  });

  it('judges another schema version by its version, whatever else it holds', () => {
    expect(parse({ schema_version: 2, who: 'u' }).fault?.reason).toBe('unknown_schema_version');
    expect(parse({ ...event, schema_version: '1' }).fault?.reason).toBe('unknown_schema_version');
  });

  it('never throws, whatever the bytes, and its details can be stored as text', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.json().map((text) => new TextEncoder().encode(text)),
      fc
        .dictionary(fc.constantFrom(...Object.keys(event), '__proto__'), fc.jsonValue())
        .map((change) => new TextEncoder().encode(JSON.stringify({ ...event, ...change }))),
    );
    fc.assert(
      fc.property(bytes, fc.string({ unit: 'binary' }), (value, key) => {
        const { event: parsed, fault } = parseRecord({ key, value }, NOW_MS);
        expect((parsed === undefined) !== (fault === undefined)).toBe(true);
        expect(fault?.detail.isWellFormed() ?? true).toBe(true);
        expect(fault?.detail.includes('\u0000') ?? false).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
