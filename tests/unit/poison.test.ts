/** The generator of poison and the parser agree on every kind, for many seeds. */
import { parseRecord, REJECT_REASONS } from '@nestrec/ingest';
import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import { drawPoison, makePoison, POISON_KINDS } from '../helpers/poison.js';

const NOW_MS = Date.UTC(2026, 10, 23);

describe('poison records', () => {
  it.each(POISON_KINDS)('$kind is refused as $reason, with a short detail', (kind) => {
    for (let seed = 0; seed < (kind.large === true ? 1 : 40); seed++) {
      const { key, value, reason } = makePoison(kind, createRandom(seed), NOW_MS);
      const { fault } = parseRecord({ key, value }, NOW_MS);
      expect(fault?.reason, `seed ${seed}`).toBe(reason);
      expect(fault!.detail.length).toBeLessThan(250);
    }
  });

  it('1 MB and 1 byte is exactly that', () => {
    const large = POISON_KINDS.find((kind) => kind.large === true)!;
    expect(makePoison(large, createRandom(1), NOW_MS).value).toHaveLength(1_048_577);
  });

  it('come in every reason that one record can have', () => {
    const drawn = new Set(POISON_KINDS.map(({ reason }) => reason));
    const byOthers = ['event_id_conflict', 'refused_by_database'];
    expect([...drawn, ...byOthers].sort()).toEqual(Object.keys(REJECT_REASONS).sort());
  });

  it('are the same for the same seed, and of many kinds', () => {
    const draw = () => {
      const random = createRandom(7);
      return Array.from({ length: 400 }, () => {
        const { kind, key, value } = drawPoison(random, { nowMs: NOW_MS });
        return { kind, key, value: value === null ? null : Buffer.from(value).toString('latin1') };
      });
    };
    const drawn = draw();
    expect(JSON.stringify(draw())).toBe(JSON.stringify(drawn));
    const usual = POISON_KINDS.filter((kind) => kind.large !== true);
    expect(new Set(drawn.map(({ kind }) => kind)).size).toBe(usual.length);
  });
});
