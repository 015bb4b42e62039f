/**
 * The operations over all items, and the optimiser, on the native backend: item table, cross-entropy, ranks, AdamW. The
 * files of the operations say what they compute.
 */
import type * as tf from '@tensorflow/tfjs-core';
import type { ItemTableInput } from '../item-table.js';
import type { NestedCrossEntropy, NestedCrossEntropyInput } from '../nested-cross-entropy.js';
import type { RankCases, SizeRanks } from '../ranker.js';
import type { RowTable } from '../row-table.js';
import { traced } from '../trace.js';
import type { NativeBackend } from './native-backend.js';

const optional = (native: NativeBackend, x: tf.Tensor | null) =>
  x === null ? null : native.numbersOf(x);

export function nativeItemTable(native: NativeBackend, input: ItemTableInput): tf.Tensor2D {
  const { sizes, items, features, projector, bias, residual, residualMask } = input;
  const table = native.output<tf.Tensor2D>([items + 1, sizes.at(-1)!]);
  traced('itemTable', () =>
    native.operations.itemTable(
      ...([Int32Array.from(sizes), optional(native, features), features?.shape[1] ?? 0] as const),
      ...([table.numbers, optional(native, residualMask)] as const),
      ...([optional(native, projector), native.numbersOf(bias)] as const),
      optional(native, residual),
    ),
  );
  return table.tensor;
}

export function nativeItemTableBackward(
  native: NativeBackend,
  upstream: tf.Tensor2D,
  { sizes, items, features, residual, residualMask }: Omit<ItemTableInput, 'bias' | 'projector'>,
) {
  const width = sizes.at(-1)!;
  const featureWidth = features?.shape[1] ?? 0;
  const dProjector = features === null ? null : native.output<tf.Tensor2D>([width, featureWidth]);
  const dBias = native.output<tf.Tensor1D>([width]);
  const dResidual = residual === null ? null : native.output<tf.Tensor2D>([items, width]);
  traced('itemTableBackward', () =>
    native.operations.itemTableBackward(
      ...([Int32Array.from(sizes), optional(native, features), featureWidth] as const),
      ...([native.numbersOf(upstream), optional(native, residualMask)] as const),
      ...([dProjector?.numbers ?? null, dBias.numbers, dResidual?.numbers ?? null] as const),
    ),
  );
  return {
    projector: dProjector?.tensor ?? null,
    bias: dBias.tensor,
    residual: dResidual?.tensor ?? null,
  };
}

/** At least one label. */
export function nativeCrossEntropy(
  native: NativeBackend,
  input: NestedCrossEntropyInput,
): NestedCrossEntropy {
  const { states, items, targets, sizes, weights, logScales } = input;
  const dStates = native.output<tf.Tensor2D>(states.shape);
  const dItems = native.output<tf.Tensor2D>(items.shape);
  const losses = new Float64Array(sizes.length);
  const dScales = new Float64Array(sizes.length);
  const scales = Float32Array.from(sizes, (_, k) =>
    logScales === null ? 1 : Math.exp(logScales[k]!),
  );
  const shares = Float32Array.from(sizes, (_, k) => input.prefixShares?.[k] ?? 1);
  traced('crossEntropy', () =>
    native.operations.crossEntropy(
      ...([Int32Array.from(sizes), native.numbersOf(states), native.numbersOf(items)] as const),
      ...([targets, Float32Array.from(weights), scales, input.itemBias ?? null] as const),
      ...([shares, dStates.numbers, dItems.numbers, losses, dScales] as const),
    ),
  );
  const lossBySize = Array.from(losses, (sum) => sum / targets.length);
  return {
    loss: lossBySize.reduce((sum, loss, k) => sum + weights[k]! * loss, 0),
    lossBySize,
    gradients: {
      states: dStates.tensor,
      items: dItems.tensor,
      logScales: logScales === null ? null : Float32Array.from(dScales),
    },
  };
}

/** @param items N x D, without the padding row. */
export function nativeRanks(
  native: NativeBackend,
  items: Float32Array,
  sizes: readonly number[],
  { queries, targets, seenOffsets, seen }: RankCases,
): SizeRanks {
  const count = targets.length;
  const [all, masked] = [
    new Int32Array(count * sizes.length),
    new Int32Array(count * sizes.length),
  ];
  const rows = (ids: Int32Array) => ids.map((id) => id - 1);
  traced('countRanks', () =>
    native.operations.countRanks(
      ...([Int32Array.from(sizes), queries, items, rows(targets)] as const),
      ...([seenOffsets, rows(seen), all, masked] as const),
    ),
  );
  const bySize = (ranks: Int32Array) =>
    sizes.map((_, k) => ranks.slice(k * count, (k + 1) * count));
  return { all: bySize(all), masked: bySize(masked) };
}

/** What one parameter's step is made of; see adamw.ts. */
export interface AdamWUpdate {
  readonly scale: number;
  readonly shrink: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  /** lr / (1 - beta1^step) */
  readonly rate: number;
  /** 1 / sqrt(1 - beta2^step) */
  readonly deviation: number;
  /** null: 1 */
  readonly factors: RateFactors | null;
}

/** Factors of the learning rate within a parameter, seen as a matrix: one for each row, or each column. */
export interface RateFactors {
  readonly along: 'rows' | 'columns';
  readonly values: Float32Array;
}

const lastOf = ({ scale, shrink, betas, eps, rate, deviation, factors }: AdamWUpdate) =>
  [
    Float32Array.of(scale, shrink, ...betas, eps, rate, deviation),
    factors && factors.values,
    factors?.along === 'rows' ? 1 : 0,
  ] as const;

export function nativeAdamW(
  native: NativeBackend,
  parameter: tf.Variable,
  moments: { readonly m: tf.Variable; readonly v: tf.Variable },
  gradient: tf.Tensor,
  update: AdamWUpdate,
): void {
  const width = update.factors === null ? 1 : (parameter.shape.at(-1) ?? 1);
  traced('adamw', () =>
    native.operations.adamw(
      ...([parameter, moments.m, moments.v].map((x) => native.numbersToChange(x)) as [
        Float32Array,
        Float32Array,
        Float32Array,
      ]),
      ...([native.numbersOf(gradient), width, null, ...lastOf(update)] as const),
    ),
  );
}

/** @param rows rows of the table that those of the gradient belong to, ascending. */
export function nativeAdamWRows(
  native: NativeBackend,
  { values, m, v, width }: RowTable,
  rows: Int32Array,
  gradient: tf.Tensor2D,
  update: AdamWUpdate,
): void {
  traced('adamw', () =>
    native.operations.adamw(
      ...([values, m, v, native.numbersOf(gradient), width, rows, ...lastOf(update)] as const),
    ),
  );
}

/** Rows of a table in main memory, after `zeros` rows of zeros. */
export function nativeGatherTable(
  native: NativeBackend,
  table: Float32Array,
  width: number,
  rows: Int32Array,
  zeros: number,
): tf.Tensor2D {
  const out = native.output<tf.Tensor2D>([zeros + rows.length, width]);
  out.numbers.fill(0, 0, zeros * width);
  traced('gatherRows', () =>
    native.operations.gatherRows(table, width, rows, out.numbers.subarray(zeros * width)),
  );
  return out.tensor;
}

export function nativeSumSquares(native: NativeBackend, x: tf.Tensor): number {
  return traced('sumSquares', () => native.operations.sumSquares(native.numbersOf(x)));
}
