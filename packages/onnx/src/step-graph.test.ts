import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { createCell, stateTolerance, vectorDifference, type Cell } from '@nestrec/streaming';
import { describe, expect, it } from 'vitest';
import { openStep, RUNTIMES, stepState, type Onnx } from '../../../tests/helpers/onnx-step.js';
import { randomModel, randomVectors } from '../../../tests/helpers/streaming-reference.js';
import { encodeOnnx } from './onnx-file.js';
import { buildStepGraph } from './step-graph.js';

const encode = (cell: Cell) =>
  encodeOnnx({
    ...buildStepGraph(cell),
    ...{ name: 'step', about: 'a test', producerVersion: '0', metadata: {} },
  });
const open = (onnx: Onnx, cell: Cell) => openStep(onnx, encode(cell), cell);

/**
 * What a state of float32 may be off by (`stateTolerance`: 1e-5 of its greatest number, and rounding that
 * lambda lets add up) holds for sums in float32 too: 64 of them lose some 1e-7 each way, seen are 1e-6. Only a
 * segment of two coordinates that are almost equal has nothing to average: its norm multiplies by up to
 * 1 / sqrt(1e-5) = 316 what the numbers before it were rounded by, 6e-8. Seen is 5e-6, in theory 6e-5.
 */
function tolerance(cell: Cell): number {
  const narrow = cell.sizes.some((size, s) => size - (cell.sizes[s - 1] ?? 0) === 2);
  return (narrow ? 10 : 1) * stateTolerance(cell, 0);
}

/** Greatest difference of states, queries and scores after every event, relative to the greatest number. */
async function worstDifference(onnx: Onnx, cell: Cell, history: readonly Float32Array[]) {
  const catalogue = randomVectors(createRandom(1), 20, cell.dim);
  const step = await open(onnx, cell);
  const scores = (query: Float32Array) =>
    Float32Array.from(catalogue, (item) => item.reduce((sum, e, i) => sum + e * query[i]!, 0));
  const wanted = cell.emptyState();
  let state: Float32Array = new Float32Array(2 * cell.blocks * cell.dim);
  let worst = 0;
  for (const item of history) {
    cell.step(wanted, item);
    const [got] = await step.run([state], [item]);
    const query = cell.query(wanted);
    worst = Math.max(
      ...[worst, vectorDifference(got!.state, stepState(wanted))],
      ...[vectorDifference(got!.query, query), vectorDifference(scores(got!.query), scores(query))],
    );
    state = got!.state;
  }
  await step.close();
  return worst;
}

describe.each(RUNTIMES)('the step in %s', (_name, onnx) => {
  const shapes = fc.record({
    seed: fc.integer({ min: 1, max: 1e9 }),
    sizes: fc.constantFrom<number[][]>([4, 8, 16], [8], [3, 5, 12], [1, 2, 7], [8, 16, 32, 64]),
    blocks: fc.constantFrom(1, 2, 3),
    useBias: fc.boolean(),
    length: fc.integer({ min: 1, max: 25 }),
  });

  it('gives the states, queries and scores of the cell, for every model and history', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ seed, length, useBias, ...shape }) => {
        const { config, params } = randomModel(seed, shape);
        const cell = createCell({ ...config, useBias }, params);
        const history = randomVectors(createRandom(seed), length, cell.dim);
        expect(await worstDifference(onnx, cell, history)).toBeLessThan(tolerance(cell));
      }),
      { numRuns: 40 },
    );
  });

  it('holds for the largest ladder', async () => {
    const { config, params } = randomModel(1, {
      sizes: [8, 16, 32, 64, 128, 256, 512, 1_024],
      blocks: 1,
    });
    const cell = createCell(config, params);
    const history = randomVectors(createRandom(1), 3, cell.dim);
    expect(await worstDifference(onnx, cell, history)).toBeLessThan(tolerance(cell));
  });

  it('keeps its digits where an item is large beside its spread', async () => {
    const { config, params } = randomModel(3, { sizes: [8, 16], blocks: 2 });
    const cell = createCell(config, params);
    // A mean of 20 and a spread of 0.01: squares of the numbers, subtracted in float32, leave no digit of it.
    const history = randomVectors(createRandom(3), 5, cell.dim).map((v) =>
      v.map((value) => 20 + 0.02 * value),
    );
    // 6e-8 of 20 is 1.2e-4 of 0.01: the numbers themselves have no more digits.
    expect(await worstDifference(onnx, cell, history)).toBeLessThan(2e-3);
  });

  it('takes the events of many users at once, each as it would be alone', async () => {
    const { config, params } = randomModel(5, { sizes: [4, 8, 16], blocks: 2 });
    const cell = createCell(config, params);
    const step = await open(onnx, cell);
    const random = createRandom(5);
    const users = Array.from({ length: 7 }, (_, u) =>
      cell.fold(randomVectors(random, u, cell.dim)),
    );
    const items = randomVectors(random, 7, cell.dim);
    const together = await step.run(users.map(stepState), items);
    await step.close();
    users.forEach((user, u) => {
      cell.step(user, items[u]!);
      expect(vectorDifference(together[u]!.state, stepState(user))).toBeLessThan(tolerance(cell));
      expect(vectorDifference(together[u]!.query, cell.query(user))).toBeLessThan(tolerance(cell));
    });
  });
});

describe('the step', () => {
  it('says in the file what its inputs and outputs are', async () => {
    const { config, params } = randomModel(1, { sizes: [4, 8], blocks: 2 });
    const [, onnx] = RUNTIMES[0]!;
    const session = await onnx.InferenceSession.create(encode(createCell(config, params)));
    expect([...session.inputMetadata, ...session.outputMetadata]).toMatchObject([
      { name: 'state', type: 'float32', shape: ['batch', 2, 2, 8] },
      { name: 'item_vector', type: 'float32', shape: ['batch', 8] },
      { name: 'next_state', type: 'float32', shape: ['batch', 2, 2, 8] },
      { name: 'query', type: 'float32', shape: ['batch', 8] },
    ]);
  });

  it('has as many nodes whatever the number of sizes: 4 products a block', () => {
    const nodes = (sizes: number[], blocks: number) => {
      const { config, params } = randomModel(1, { sizes, blocks });
      return buildStepGraph(createCell(config, params)).nodes;
    };
    expect(nodes([2, 4, 6, 8], 1)).toHaveLength(nodes([8], 1).length);
    const products = nodes([4, 8], 3).filter(({ operator }) => operator === 'Gemm');
    expect(products).toHaveLength(12);
  });
});
