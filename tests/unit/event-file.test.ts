/** Events in a file or in memory: everything that training and its report take from them is the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { modelConfigSchema } from '@nestrec/contracts';
import {
  buildDataset,
  packedBatches,
  Spill,
  splitLeaveOneOut,
  splitTemporal,
  type DatasetRow,
  type SequenceDataset,
  type Split,
} from '@nestrec/dataset';
import { fitCooccurrence, fitMarkov, fitPopularity } from '@nestrec/evaluation';
import { createRandom } from '@nestrec/random';
import { createSettings } from '@nestrec/training';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fingerprintOf } from '../../packages/training/src/fingerprint.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nestrec-event-file-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Per user the items and the steps of time between them. */
const users = fc.array(fc.array(fc.tuple(fc.nat(15), fc.nat(6)), { minLength: 1, maxLength: 12 }), {
  minLength: 3,
  maxLength: 12,
});

function rowsOf(histories: readonly (readonly (readonly [number, number])[])[]): DatasetRow[] {
  return histories.flatMap((events, u) => {
    let timestampMs = 0;
    return events.map(([item, step], e) => ({
      userId: `u${String(u).padStart(3, '0')}`,
      itemId: `i${item}`,
      timestampMs: (timestampMs += step),
      eventId: String(e).padStart(4, '0'),
    }));
  });
}

const SPLITS: Record<string, (dataset: SequenceDataset, maxCases: number | undefined) => Split> = {
  'leave-one-out': (dataset, maxCases) =>
    splitLeaveOneOut(dataset, maxCases === undefined ? {} : { maxCases }),
  temporal: (dataset, maxCases) =>
    splitTemporal(
      dataset,
      { validationFraction: 0.2, testFraction: 0.2 },
      maxCases === undefined ? { minHistory: 0 } : { minHistory: 0, maxCases },
    ),
};

/** All that is read from a split: training rows, batches, cases, baselines, the checkpoint's fingerprint. */
function taken(split: Split, itemCount: number) {
  const { train, report } = split;
  const options = { usersPerBatch: 4, maxLength: 5, windows: 'all' as const };
  const validation = split.cases('validation');
  const scorers = [fitPopularity, fitMarkov, fitCooccurrence].map((fit) => fit(train, itemCount));
  return {
    report,
    train: Array.from(train, (items) => [...items]),
    batches: [...packedBatches(train, { ...options, random: createRandom(1) })],
    cases: [validation, split.cases('test')],
    scores: scorers.flatMap((scorer) =>
      Array.from({ length: itemCount }, (_, i) => {
        const out = new Float32Array(itemCount + 1);
        scorer.score(Int32Array.of(1, i + 1), out);
        return out;
      }),
    ),
    fingerprint: fingerprintOf({
      config: modelConfigSchema.parse({ sizes: [4], blocks: 1, featureWidth: 1, numItems: 2 }),
      settings: createSettings('fast', [4]),
      ...{ seed: 1, train, validation, features: new Float32Array(2) },
    }),
  };
}

/** The result, or the text of the refusal: data too small for a split are refused alike. */
function outcome<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return String(error);
  }
}

describe.each(Object.keys(SPLITS))('a %s split', (name) => {
  it('and all that is read from it do not depend on where the events lie', async () => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(
        users,
        fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
        async (histories, maxCases) => {
          const rows = [rowsOf(histories)];
          const spill = new Spill({ folder, eventsInMemory: 0 });
          try {
            const memory = await buildDataset(rows);
            const file = await buildDataset(rows, { spill });
            expect(memory.items).toBeInstanceOf(Int32Array);
            expect(file.items).not.toBeInstanceOf(Int32Array);
            const [expected, got] = [memory, file].map((dataset) =>
              outcome(() => taken(SPLITS[name]!(dataset, maxCases), dataset.itemIds.length)),
            );
            expect(got).toEqual(expected);
            if (typeof got === 'object') compared++;
          } finally {
            spill.close();
          }
        },
      ),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(20);
  });
});
