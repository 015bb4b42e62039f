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

  const head = { schema_version: 1, event_id: 'x', user_id: 'u', timestamp_ms: NOW_MS };

  it('gives the erasure of a well-formed record, and judges it as strictly as an event', () => {
    const ofUser = { ...head, type: 'erase_user' };
    const ofEvent = { ...head, type: 'erase_event', target_event_id: 'e' };
    expect(parse(ofUser)).toEqual({ event: ofUser });
    expect(parse(ofEvent)).toEqual({ event: ofEvent });
    const reasons = [
      parse(ofUser, 'w'),
      parse({ ...ofUser, user_id: '' }),
      parse({ ...ofEvent, target_event_id: 7 }),
      parse({ ...ofEvent, target_event_id: undefined }),
      parse({ ...ofUser, target_event_id: 'e' }),
      parse({ ...ofUser, timestamp_ms: NOW_MS + 300_001 }),
      parse({ ...ofUser, timestamp_ms: 0 }),
      parse({ ...ofUser, type: 'erase_item' }),
      parse({ ...event, type: 'erase_item' }),
    ].map(({ fault }) => fault?.reason);
    expect(reasons).toEqual([
      ...['key_mismatch', 'invalid_id', 'invalid_id', 'invalid_id', 'invalid_event'],
      ...['future_timestamp', 'ancient_timestamp', 'invalid_id', 'reserved_type'],
    ]);
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
        .dictionary(
          fc.constantFrom(...Object.keys(event), 'target_event_id', '__proto__'),
          fc.oneof(fc.jsonValue(), fc.constantFrom('erase_user', 'erase_event')),
        )
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
