import { InvalidConfig, isError } from '@nestrec/errors';
import { createRandom, restoreRandom } from '@nestrec/random';
import { beforeAll, describe, expect, it } from 'vitest';
import { suiteBackends } from '../../../tests/helpers/backends.js';
import { dropoutMask, requireRates, selectBackend } from './index.js';

const SIZES = [2, 5, 9];
const RATES = [0, 0.25, 0.6];
/** Of the first 50 rows; a change of the draw would train other models from the same seed. */
const HASH_OF_SEED_3 = 3_331;

function values(seed = 1, rows = 4_000): Float32Array {
  const mask = dropoutMask(rows, SIZES, RATES, createRandom(seed))!;
  const data = mask.dataSync() as Float32Array;
  mask.dispose();
  return data;
}

describe.each(suiteBackends)('dropout masks on %s', (backend) => {
  beforeAll(async () => {
    await selectBackend({ force: backend });
  });

  it('drop each segment at its own rate and keep its mean at 1', () => {
    const data = values();
    const columns = (begin: number, end: number) =>
      data.filter((_, i) => i % 9 >= begin && i % 9 < end);
    [
      [0, 2, 0],
      [2, 5, 0.25],
      [5, 9, 0.6],
    ].forEach(([begin, end, rate]) => {
      const part = columns(begin!, end!);
      const dropped = part.filter((v) => v === 0).length / part.length;
      expect(Math.abs(dropped - rate!)).toBeLessThan(0.015);
      expect(part.every((v) => v === 0 || Math.abs(v - 1 / (1 - rate!)) < 1e-6)).toBe(true);
    });
  });

  it('are those of the stream: the same for the same state, others for another', () => {
    expect(values(1)).toEqual(values(1));
    expect(values(1)).not.toEqual(values(2));
    const random = createRandom(9);
    random.uniform();
    const resumed = restoreRandom(random.state());
    const draw = (r: typeof random) => {
      const mask = dropoutMask(5, SIZES, RATES, r)!;
      const data = [...mask.dataSync()];
      mask.dispose();
      return data;
    };
    expect(draw(resumed)).toEqual(draw(random));
  });

  it('are the same to the bit on every backend, and of some rows what the whole has there', () => {
    let hash = 0;
    values(3, 50).forEach((value) => (hash = (31 * hash + Math.round(1_000 * value)) % 1_000_003));
    expect(hash).toBe(HASH_OF_SEED_3);
    const picked = Int32Array.of(7, 2, 40);
    const part = dropoutMask(50, SIZES, RATES, createRandom(3), picked)!;
    const whole = values(3, 50);
    const wanted = [...picked].flatMap((row) => [...whole.subarray(9 * row, 9 * row + 9)]);
    expect([...part.dataSync()]).toEqual(wanted);
    part.dispose();
  });

  it('are none where nothing is dropped, and neighbours are drawn apart', () => {
    expect(dropoutMask(5, SIZES, [0, 0, 0], createRandom(1))).toBeNull();
    const data = values().filter((_, i) => i % 9 >= 5);
    const both = data.filter((v, i) => i > 0 && v === 0 && data[i - 1] === 0).length / data.length;
    expect(Math.abs(both - 0.36)).toBeLessThan(0.02);
  });

  it.each([[[0, 0.1]], [[0, 0, 1]], [[0, -0.1, 0]], [[NaN, 0, 0]]])(
    'refuse the rates %j for three segments',
    (rates) => {
      let refused: unknown;
      try {
        requireRates('dropout', rates, 3);
      } catch (error) {
        refused = error;
      }
      expect(isError(refused, InvalidConfig)).toBe(true);
    },
  );
});
