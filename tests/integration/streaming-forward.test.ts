/** The stream and the batch agree: states stepped event by event against the model's own forward pass. */
import { modelConfigSchema, type NamedArray } from '@nestrec/contracts';
import { packHistories, type Ragged } from '@nestrec/dataset';
import { createModel } from '@nestrec/model';
import {
  initParameters,
  itemVectors,
  lambdaMax,
  replayEvents,
  sliceParameters,
} from '@nestrec/parameters';
import { createRandom } from '@nestrec/random';
import { createCell, decodeState, encodeState, truncateState } from '@nestrec/streaming';
import { disposeTensors, selectBackend } from '@nestrec/tensor';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../helpers/streaming-reference.js';

beforeAll(() => selectBackend({ force: 'cpu' }));

const shapes = fc.record({
  seed: fc.integer({ min: 1, max: 1e6 }),
  sizes: fc.constantFrom<number[][]>([4, 8, 16], [8], [2, 6]),
  blocks: fc.constantFrom(1, 2),
  featureWidth: fc.constantFrom(0, 5),
});

/** A model whose every parameter is moved away from its start (whose imaginary parts are 0). */
function perturbed(shape: { seed: number; sizes: number[]; blocks: number; featureWidth: number }) {
  const { seed, ...rest } = shape;
  const config = modelConfigSchema.parse({ ...rest, numItems: 20 });
  const random = createRandom(seed);
  const params = new Map<string, NamedArray>();
  for (const [name, { shape: dims, data }] of initParameters(config, random)) {
    const scale = name.endsWith('params_log') ? 0.02 : 0.1;
    params.set(name, { shape: dims, data: data.map((v) => v + scale * random.normal()) });
  }
  const features = Float32Array.from({ length: 20 * config.featureWidth }, () => random.normal());
  return { config, params, features, random };
}

function randomHistories(random: ReturnType<typeof createRandom>, users: number): Ragged {
  const offsets = new Int32Array(users + 1);
  // The first user has no event.
  for (let u = 1; u < users; u++) offsets[u + 1] = offsets[u]! + 1 + random.int(40);
  const items = Int32Array.from({ length: offsets[users]! }, () => 1 + random.int(20));
  return { offsets, items };
}

describe('streaming and batch', () => {
  it('give the same query vector for every history, the empty one included', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { config, params, features, random } = perturbed(shape);
        const cell = createCell(config, params);
        const rows = itemVectors(config, params, features);
        const vectorOf = (id: number) => rows.subarray((id - 1) * cell.dim, id * cell.dim);
        const histories = randomHistories(random, 8);
        const model = createModel(config, features);
        const uploaded = model.createParameters(params);
        const table = model.itemTable(uploaded);
        const packed = packHistories(histories, { maxLength: 100 });
        const batch = model.lastStates(uploaded, table, packed);
        table.dispose();
        disposeTensors(uploaded);
        model.dispose();
        for (let user = 0; user < 8; user++) {
          const [from, to] = [histories.offsets[user]!, histories.offsets[user + 1]!];
          const stepped = cell.fold(Array.from(histories.items.subarray(from, to), vectorOf));
          const state = decodeState(encodeState(stepped), cell);
          const wanted = batch.subarray(user * cell.dim, (user + 1) * cell.dim);
          expect(relativeError(cell.query(state), wanted)).toBeLessThan(1e-5);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('agree on the memory of the model', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { config, params } = perturbed(shape);
        const cell = createCell(config, params);
        expect(cell.lambdaMax).toBeCloseTo(lambdaMax(config, params), 12);
        expect(cell.replayEvents).toBe(replayEvents(config, cell.lambdaMax));
      }),
    );
  });

  it('the sliced model reads a truncated state as the full one reads its prefix, bit for bit', () => {
    const shape = { seed: 7, sizes: [4, 8, 16], blocks: 2, featureWidth: 5 };
    const { config, params, features } = perturbed(shape);
    const cell = createCell(config, params);
    const rows = itemVectors(config, params, features);
    const state = cell.fold([3, 9, 3, 20].map((id) => rows.subarray((id - 1) * 16, id * 16)));
    for (const dim of [4, 8]) {
      const small = sliceParameters(config, params, dim);
      const smallCell = createCell(small.config, small.parameters);
      expect(smallCell.query(truncateState(state, dim))).toEqual(cell.query(state, dim));
    }
  });
});
