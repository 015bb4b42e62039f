/**
 * Causal self-attention over packed rows: a row sees the rows of its own sequence up to itself.
 *
 * Sequences lie side by side in tiles of equal height, and a mask keeps them apart: a product per tile and not per
 * sequence, since small products cost more to begin than to compute, and no padding to the longest user of a batch.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Random } from '@nestrec/random';
import {
  applyMask,
  dropoutMask,
  gatherRows,
  rowDots,
  scaleRows,
  scatterAddRows,
  type PackedRows,
} from '@nestrec/tensor';
import { differentiable } from './differentiable.js';

/** Rows of a tile, unless a sequence is longer. */
const TILE_ROWS = 64;
/** Added to scores that do not count: below any that do, and their softmax is exactly 0. */
const UNSEEN = -1e9;

export interface TiledLayout {
  readonly tiles: number;
  /** Rows of a tile. */
  readonly height: number;
  /** Row, counted over all tiles, of each packed row. */
  readonly places: Int32Array;
  /** 0 where a row of a tile sees a column, far below 0 elsewhere: tiles x height x height. */
  readonly mask: Float32Array;
}

/** Lays sequences, longest first, one after the other into tiles that they fit. */
export function layOutTiles({ active, start, rows }: PackedRows): TiledLayout {
  const places = new Int32Array(rows);
  const height = Math.max(active.length, Math.min(TILE_ROWS, rows));
  const begins = new Int32Array(active[0] ?? 0);
  const lengths = new Int32Array(begins.length);
  for (const count of active) for (let s = 0; s < count; s++) lengths[s]!++;
  let used = 0;
  lengths.forEach((length, s) => {
    const left = (height - (used % height)) % height;
    if (left < length) used += left;
    begins[s] = used;
    for (let t = 0; t < length; t++) places[start[t]! + s] = used + t;
    used += length;
  });
  const tiles = Math.ceil(used / height);
  const mask = new Float32Array(tiles * height * height).fill(UNSEEN);
  lengths.forEach((length, s) => {
    const first = begins[s]! % height;
    for (let t = 0; t < length; t++) {
      const row = (begins[s]! + t) * height;
      mask.fill(0, row + first, row + first + t + 1);
    }
  });
  return { tiles, height, places, mask };
}

export interface AttentionInput {
  /** Packed rows [n, D]. */
  readonly queries: tf.Tensor2D;
  readonly keys: tf.Tensor2D;
  readonly values: tf.Tensor2D;
  readonly heads: number;
  /** Share of the attention weights that is left out; null = nothing is. */
  readonly dropout: { readonly dropout: number; readonly random: Random } | null;
}

/** The attended values, packed rows [n, D] again. */
export function causalAttention(input: AttentionInput, layout: TiledLayout): tf.Tensor2D {
  const { heads, dropout } = input;
  const inputs = [input.queries, input.keys, input.values];
  return differentiable(
    inputs,
    () => {
      const [queries, keys, values] = inputs.map((x) => toTiles(x, layout, heads));
      const weights = attentionWeights(queries!, keys!, layout);
      const mask = dropout === null ? null : weightMask(weights, dropout);
      const attended = tf.matMul(withMask(weights, mask), values!);
      return {
        value: toRows(attended, layout),
        saved: mask === null ? [weights] : [weights, mask],
      };
    },
    (upstream, rows, [weights, mask]) => {
      const tiles = [...rows, upstream].map((x) => toTiles(x, layout, heads));
      const gradients = attentionGradients(tiles, weights!, mask ?? null);
      return gradients.map((x) => toRows(x, layout));
    },
  );
}

/** softmax(Q K^T / sqrt(d)) of what a row sees; all three are [tiles, heads, height, d]. */
function attentionWeights(
  queries: tf.Tensor,
  keys: tf.Tensor,
  { tiles, height, mask }: TiledLayout,
): tf.Tensor {
  const depth = queries.shape.at(-1)!;
  const scores = tf.mul(tf.matMul(queries, keys, false, true), 1 / Math.sqrt(depth));
  const seen = tf.add(scores, tf.tensor4d(mask, [tiles, 1, height, height]));
  return tf.reshape(rowSoftmax(asRows(seen)), seen.shape);
}

/** In place of `tf.softmax`, which on cpu and native broadcasts number by number: that took longer than all else here. */
function rowSoftmax(scores: tf.Tensor2D): tf.Tensor2D {
  const ones = tf.onesLike(scores);
  const powers: tf.Tensor2D = tf.exp(tf.sub(scores, scaleRows(ones, tf.max(scores, 1))));
  return scaleRows(powers, tf.reciprocal(rowDots(powers, ones)));
}

/** Gradients by queries, keys and values. */
function attentionGradients(
  [queries, keys, values, upstream]: readonly tf.Tensor[],
  weights: tf.Tensor,
  mask: tf.Tensor | null,
): tf.Tensor[] {
  const byWeight = asRows(withMask(tf.matMul(upstream!, values!, false, true), mask));
  const rows = asRows(weights);
  // Of a softmax: its value times what its gradient has above the mean that it weighs.
  const means = scaleRows(rows, rowDots(byWeight, rows));
  const byScore = tf.sub(applyMask(byWeight, rows), means);
  const scaled = tf.reshape(tf.mul(byScore, 1 / Math.sqrt(queries!.shape.at(-1)!)), weights.shape);
  return [
    tf.matMul(scaled, keys!),
    tf.matMul(scaled, queries!, true, false),
    tf.matMul(withMask(weights, mask), upstream!, true, false),
  ];
}

const asRows = (x: tf.Tensor): tf.Tensor2D => {
  const columns = x.shape.at(-1)!;
  return tf.reshape(x, [x.size / columns, columns]);
};

const withMask = (weights: tf.Tensor, mask: tf.Tensor | null): tf.Tensor =>
  mask === null ? weights : tf.reshape(applyMask(asRows(weights), asRows(mask)), weights.shape);

function weightMask(
  weights: tf.Tensor,
  { dropout, random }: NonNullable<AttentionInput['dropout']>,
): tf.Tensor | null {
  const columns = weights.shape.at(-1)!;
  const mask = dropoutMask(weights.size / columns, [columns], [dropout], random);
  return mask === null ? null : tf.reshape(mask, weights.shape);
}

/** Packed rows [n, D] as [tiles, heads, height, D / heads]; rows that nobody lies on are 0. */
function toTiles(x: tf.Tensor2D, { tiles, height, places }: TiledLayout, heads: number): tf.Tensor {
  const width = x.shape[1];
  const spread = scatterAddRows(places, x, tiles * height);
  // With one head the transposition would move nothing, and is dear on some backends.
  if (heads === 1) return tf.reshape(spread, [tiles, 1, height, width]);
  const split = tf.reshape(spread, [tiles, height, heads, width / heads]);
  return tf.transpose(split, [0, 2, 1, 3]);
}

/** The way back. */
function toRows(x: tf.Tensor, { tiles, height, places }: TiledLayout): tf.Tensor2D {
  const [, heads, , depth] = x.shape as [number, number, number, number];
  const joined = heads === 1 ? x : tf.transpose(x, [0, 2, 1, 3]);
  return gatherRows(tf.reshape(joined, [tiles * height, heads * depth]), places);
}
