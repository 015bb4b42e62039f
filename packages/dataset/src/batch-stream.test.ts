import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isError, WorkerFailed } from '@nestrec/errors';
import { createRandom } from '@nestrec/random';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBatches } from './batch-stream.js';
import { Histories } from './histories.js';
import { NumberSpool } from './number-list.js';
import { NumberFile, type Numbers } from './numbers.js';
import { countPackedBatches, packedBatches } from './packed-batches.js';
import { Spill } from './spill.js';
import type { BatchStream, PackedBatch } from './types.js';

const OPTIONS = { usersPerBatch: 7, maxLength: 5, windows: 'all' as const };
const USERS = 60;

let folder: string;
let spill: Spill;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nestrec-batches-'));
  spill = new Spill({ folder, eventsInMemory: 0 });
});
afterAll(() => {
  spill.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Training histories whose last two events are held out, in memory or in a file. */
function histories(place: Spill | null): Histories {
  const random = createRandom(5);
  const items = new NumberSpool(Int32Array, place);
  const offsets = [0];
  for (let u = 0; u < USERS; u++) {
    const length = 2 + random.int(20);
    for (let e = 0; e < length; e++) items.push(1 + random.int(500));
    offsets.push(items.length);
  }
  return new Histories(
    items.finish(),
    Int32Array.from(offsets.slice(0, -1)),
    Int32Array.from(offsets.slice(1), (end) => end - 2),
  );
}

async function collect(batches: AsyncIterable<PackedBatch>): Promise<PackedBatch[]> {
  const all = [];
  for await (const batch of batches) all.push(batch);
  return all;
}

async function withWorker<T>(
  train: Histories,
  work: (stream: BatchStream) => Promise<T>,
): Promise<T> {
  const stream = openBatches(train, { ...OPTIONS, packedIn: 'worker' });
  try {
    return await work(stream);
  } finally {
    await stream.close();
  }
}

const inThread = (seed: number) => [
  ...packedBatches(histories(null), { ...OPTIONS, random: createRandom(seed) }),
];

describe('batches of a worker thread', () => {
  it.each(['memory', 'a file'])(
    'are bit by bit those of the same seed in this thread, events in %s',
    async (place) => {
      const train = histories(place === 'memory' ? null : spill);
      expect(train.items instanceof NumberFile).toBe(place === 'a file');
      await withWorker(train, async (stream) => {
        for (const seed of [1, 2])
          expect(await collect(stream.epoch(createRandom(seed)))).toEqual(inThread(seed));
      });
      expect(inThread(1)).not.toEqual(inThread(2));
      expect(inThread(1)).toHaveLength(countPackedBatches(train, OPTIONS));
    },
  );

  it('begin where a resumed run stood, as in this thread', async () => {
    const train = histories(spill);
    const expected = inThread(3).slice(4);
    expect(expected.length).toBeGreaterThan(0);
    await withWorker(train, async (stream) => {
      expect(await collect(stream.epoch(createRandom(3), 4))).toEqual(expected);
      expect(await collect(stream.epoch(createRandom(3), 10_000))).toEqual([]);
    });
    const stream = openBatches(train, { ...OPTIONS, packedIn: 'this-thread' });
    expect(await collect(stream.epoch(createRandom(3), 4))).toEqual(expected);
  });

  it('an epoch that was left early leaves nothing in the next one', async () => {
    await withWorker(histories(null), async (stream) => {
      for await (const batch of stream.epoch(createRandom(1))) {
        expect(batch).toEqual(inThread(1)[0]);
        break;
      }
      expect(await collect(stream.epoch(createRandom(2)))).toEqual(inThread(2));
    });
  });

  it('a thread that fails says so with a typed error and its cause, then and afterwards', async () => {
    const lost: Numbers<Int32Array> = new NumberFile(2 ** 20, 10_000, Int32Array);
    const { begin, end } = histories(null);
    await withWorker(new Histories(lost, begin, end), async (stream) => {
      for (let i = 0; i < 2; i++) {
        const error = await collect(stream.epoch(createRandom(1))).catch((e: unknown) => e);
        expect(isError(error, WorkerFailed)).toBe(true);
        expect(String(error)).toContain('cannot be read');
      }
    });
  });

  it('closing ends a wait that is under way', async () => {
    const stream = openBatches(histories(null), { ...OPTIONS, packedIn: 'worker' });
    const waiting = collect(stream.epoch(createRandom(1))).catch((e: unknown) => e);
    await stream.close();
    expect(isError(await waiting, WorkerFailed)).toBe(true);
  });
});
