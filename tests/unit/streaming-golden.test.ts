/** The streaming cell against the oracle of ../shared/golden (an independent PyTorch implementation). */
import { existsSync, readFileSync } from 'node:fs';
import type { ModelConfig, NamedArray } from '@nestrec/contracts';
import { createCell, decodeState, encodeState } from '@nestrec/streaming';
import { describe, expect, it } from 'vitest';
import { relativeError } from '../helpers/streaming-reference.js';

type Nested = number | Nested[];
interface Golden {
  sizes: number[];
  blocks: number;
  numItems: number;
  useBias: boolean;
  features: { language: number[][]; image: number[][] };
  seqs: number[][];
  params: Record<string, Nested[]>;
  scoresLast: number[][][];
  scoresAllLargest: number[][][];
}

const folder = new URL('../../../shared/golden/', import.meta.url);
const absent = !existsSync(folder);

const numbersOf = (value: Nested): number[] =>
  Array.isArray(value) ? value.flatMap(numbersOf) : [value];

/** Row-major data and shape of a nested list. */
function toArray(value: Nested[]): NamedArray {
  const shape: number[] = [];
  for (let v: Nested = value; Array.isArray(v); v = v[0]!) shape.push(v.length);
  return { shape, data: Float32Array.from(numbersOf(value)) };
}

function open(name: string) {
  const golden = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Golden;
  const params = new Map(Object.entries(golden.params).map(([k, v]) => [k, toArray(v)]));
  const weight = params.get('embedding.projector.weight')!;
  const bias = params.get('embedding.projector.bias')!.data;
  const width = weight.shape[1]!;
  // Row 0 is the padding row: zeros, so E_0 = p.
  const vectors = Array.from({ length: golden.numItems + 1 }, (_, id) => {
    const feature = [golden.features.language, golden.features.image].flatMap(
      (modality) => modality[id - 1] ?? [],
    );
    return bias.map((b, row) =>
      feature.reduce((sum, f, i) => sum + f * weight.data[row * width + i]!, b),
    );
  });
  const config: ModelConfig = {
    ...{ sizes: golden.sizes, blocks: golden.blocks, numItems: golden.numItems },
    ...{ useBias: golden.useBias, featureWidth: width, itemResidual: false, scoreScale: false },
    ...{ rMin: 0, rMax: 1 },
  };
  return { golden, vectors, cell: createCell(config, params) };
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

describe.skipIf(absent)('streaming against the golden files (skipped without ../shared)', () => {
  it.each(['fmrlrec-one-block.json', 'fmrlrec-two-blocks.json'])(
    '%s: a stepped, stored and read state gives the scores of the last position at every size',
    (name) => {
      const { golden, vectors, cell } = open(name);
      golden.seqs.forEach((seq, user) => {
        const stepped = cell.fold(seq.filter((id) => id !== 0).map((id) => vectors[id]!));
        const state = decodeState(encodeState(stepped), cell);
        golden.sizes.forEach((size, s) => {
          const z = cell.query(state, size);
          const scores = vectors.map((vector) => dot(z, vector));
          expect(relativeError(scores, golden.scoresLast[s]![user]!)).toBeLessThan(1e-5);
        });
      });
    },
  );

  it.each(['fmrlrec-one-block.json', 'fmrlrec-two-blocks.json'])(
    '%s: every position of the history agrees on the way',
    (name) => {
      const { golden, vectors, cell } = open(name);
      golden.seqs.forEach((seq, user) => {
        const state = cell.emptyState();
        seq.forEach((id, position) => {
          if (id === 0) return;
          cell.step(state, vectors[id]!);
          const z = cell.query(state);
          const scores = vectors.map((vector) => dot(z, vector));
          const wanted = golden.scoresAllLargest[user]![position]!;
          expect(relativeError(scores, wanted)).toBeLessThan(1e-5);
        });
      });
    },
  );
});
