import fc from 'fast-check';
import { createRandom } from '@nestrec/random';
import { describe, expect, it } from 'vitest';
import {
  randomModel,
  randomVectors,
  referenceQuery,
  relativeError,
} from '../../../tests/helpers/streaming-reference.js';
import { createCell } from './cell.js';
import { createState, exitState, truncateState } from './user-state.js';

const shapes = fc.record({
  seed: fc.integer({ min: 1, max: 1e9 }),
  sizes: fc.constantFrom<number[][]>([4, 8, 16], [8], [3, 5, 12], [1, 2, 7]),
  blocks: fc.constantFrom(1, 2, 3),
  length: fc.integer({ min: 0, max: 40 }),
});

describe('cell', () => {
  it('answers what the batch forward pass answers, for every history and block count', () => {
    fc.assert(
      fc.property(shapes, ({ seed, sizes, blocks, length }) => {
        const model = randomModel(seed, { sizes, blocks });
        const cell = createCell(model.config, model.params);
        const history = randomVectors(createRandom(seed), length, cell.dim);
        const got = cell.query(cell.fold(history));
        expect(relativeError(got, referenceQuery(model, history))).toBeLessThan(1e-5);
      }),
      { numRuns: 150 },
    );
  });

  it('starts an empty history at the projector bias with h = 0, not at a zero vector', () => {
    const model = randomModel(3, { sizes: [4, 8], blocks: 2 });
    const cell = createCell(model.config, model.params);
    const got = cell.query(cell.emptyState());
    expect(relativeError(got, referenceQuery(model, []))).toBeLessThan(1e-6);
    const zeros = cell.query(createState(2, new Float32Array(8)));
    expect(relativeError(zeros, got)).toBeGreaterThan(1e-2);
  });

  it('gives at any width exactly the first coordinates of the full query', () => {
    fc.assert(
      fc.property(shapes, ({ seed, sizes, blocks, length }) => {
        const model = randomModel(seed, { sizes, blocks });
        const cell = createCell(model.config, model.params);
        const state = cell.fold(randomVectors(createRandom(seed), length, cell.dim));
        const full = cell.query(state);
        for (let dim = 1; dim <= cell.dim; dim++) {
          expect(cell.query(state, dim)).toEqual(full.slice(0, dim));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('serves a small tier from a truncated state and sliced weights, bit for bit', () => {
    const sizes = [4, 8, 16];
    for (const blocks of [1, 2]) {
      const model = randomModel(7, { sizes, blocks });
      const cell = createCell(model.config, model.params);
      const history = randomVectors(createRandom(9), 12, 16);
      const state = cell.fold(history);
      for (const kept of [1, 2, 3]) {
        const dim = sizes[kept - 1]!;
        const small = createCell(
          { ...model.config, sizes: sizes.slice(0, kept) },
          sliced(model, dim),
        );
        const truncated = truncateState(state, dim);
        expect(small.query(truncated)).toEqual(cell.query(state, dim));
        expect(small.fold(history.map((v) => v.slice(0, dim)))).toEqual(truncated);
      }
    }
  });

  it('serves an early exit from the first blocks alone, as the model of so many blocks, bit for bit', () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 3 }), ({ seed, sizes, length }, count) => {
        const model = randomModel(seed, { sizes, blocks: 3 });
        const cell = createCell(model.config, model.params);
        const small = createCell({ ...model.config, blocks: count }, model.params);
        const exit = cell.exit(count);
        const history = randomVectors(createRandom(seed), length, cell.dim);
        const state = exitState(cell.fold(history), count);
        const own = small.fold(history);
        expect(state).toEqual(own);
        expect(exit.fold(history)).toEqual(own);
        expect(exit.replayEvents).toBe(small.replayEvents);
        for (const dim of sizes) expect(exit.query(state, dim)).toEqual(small.query(own, dim));
        const [next] = randomVectors(createRandom(seed + 1), 1, cell.dim);
        exit.step(state, next!);
        small.step(own, next!);
        expect(exit.query(state)).toEqual(small.query(own));
        expect(cell.exit(count)).toBe(exit);
      }),
      { numRuns: 40 },
    );
    const two = randomModel(5, { sizes: [4], blocks: 2 });
    const cell = createCell(two.config, two.params);
    expect(cell.exit(2)).toBe(cell);
    for (const blocks of [0, 3, 1.5]) expect(() => cell.exit(blocks)).toThrow(/wanted 1 to 2/);
    expect(() => exitState(cell.emptyState(), 3)).toThrow(/no first 3/);
    expect(() => cell.exit(1).query(cell.emptyState())).toThrow(/state of 2 x 4, wanted 1 x 4/);
  });

  it('reads no weight above the asked size', () => {
    const model = randomModel(11, { sizes: [4, 8], blocks: 2 });
    const cell = createCell(model.config, model.params);
    const state = cell.fold(randomVectors(createRandom(1), 3, 8));
    const before = cell.query(state, 4);
    for (const block of cell.prepared) {
      for (const matrix of [block.outputRe, block.outputIm, block.gate, block.up, block.down]) {
        matrix.weights.fill(Number.NaN, 4 * 4);
      }
    }
    expect(cell.query(state, 4)).toEqual(before);
    expect(cell.query(state, 5).some(Number.isNaN)).toBe(true);
  });

  it('forgets: events older than replayEvents do not show in the state', () => {
    for (const blocks of [1, 2]) {
      const model = randomModel(5, { sizes: [4, 8], blocks, rMin: 0.2, rMax: 0.7 });
      const cell = createCell(model.config, model.params);
      const history = randomVectors(createRandom(5), cell.replayEvents + 30, 8);
      const all = cell.fold(history);
      const recent = cell.fold(history.slice(-cell.replayEvents));
      expect(relativeError(recent.re, all.re)).toBeLessThan(1e-6);
      const tooFew = cell.fold(history.slice(-3));
      expect(relativeError(tooFew.re, all.re)).toBeGreaterThan(1e-4);
    }
  });

  it.each([
    [0.1, 8],
    [0.37, 17],
    [0.9, 175],
  ])('replays as many events as model.md says: |lambda| %f needs %i', (r, events) => {
    const model = randomModel(1, { sizes: [4], blocks: 1, rMin: r, rMax: r });
    expect(createCell(model.config, model.params).replayEvents).toBe(events);
  });

  it('refuses parameters that are missing, misshapen, not finite, or that never forget', () => {
    const spoil = (change: (params: ReturnType<typeof randomModel>['params']) => void) => {
      const model = randomModel(2, { sizes: [4, 8], blocks: 1 });
      change(model.params);
      return () => createCell(model.config, model.params);
    };
    const gate = 'model.lru_blocks.0.feed_forward.gate.mrl_linear_1.weight';
    expect(spoil((p) => p.delete(gate))).toThrow(/gate\.mrl_linear_1\.weight \[4, 8\] is missing/);
    expect(spoil((p) => p.delete('embedding.projector.bias'))).toThrow(/projector\.bias/);
    expect(spoil((p) => p.set(gate, { shape: [8, 4], data: new Float32Array(32) }))).toThrow(
      /got shape \[8, 4\], wanted \[4, 8\]/,
    );
    expect(spoil((p) => p.get(gate)!.data.fill(Number.NaN))).toThrow(/not a finite number/);
    expect(
      spoil((p) => p.get('model.lru_blocks.0.lru_layer.params_log')!.data.fill(-1e3, 0, 1)),
    ).toThrow(/never forgets/);
  });

  it('refuses a vector or a state of another size, and a width it does not have', () => {
    const model = randomModel(2, { sizes: [4, 8], blocks: 1 });
    const cell = createCell(model.config, model.params);
    expect(() => cell.step(cell.emptyState(), new Float32Array(7))).toThrow(/7 coordinates/);
    expect(() => cell.query(createState(2, new Float32Array(8)))).toThrow(/state of 2 x 8/);
    for (const width of [0, 9, 1.5, Number.NaN]) {
      expect(() => cell.query(cell.emptyState(), width)).toThrow(/wanted 1 to 8/);
    }
  });
});

/** The parameters of the model cut to its first `dim` coordinates, by their names. */
function sliced(model: ReturnType<typeof randomModel>, dim: number) {
  const { sizes } = model.config;
  const out: typeof model.params = new Map();
  for (const [name, array] of model.params) {
    const segment = /_(\d+)\.(weight|bias)$/.exec(name);
    if (segment !== null) {
      if (sizes[Number(segment[1])]! <= dim) out.set(name, array);
    } else if (name.endsWith('params_log')) {
      const full = sizes.at(-1)!;
      const rows = [0, 1, 2].flatMap((r) => [...array.data.slice(r * full, r * full + dim)]);
      out.set(name, { shape: [3, dim], data: Float32Array.from(rows) });
    } else {
      out.set(name, { shape: [dim], data: array.data.slice(0, dim) });
    }
  }
  return out;
}
