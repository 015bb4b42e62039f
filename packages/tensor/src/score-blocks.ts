/**
 * How the composed cross-entropy cuts labels into blocks and items into chunks: by what the backend's kernels like, and on
 * a GPU by its free memory. Never changes what is computed.
 */
import { spawnSync } from 'node:child_process';
import * as tf from '@tensorflow/tfjs-core';

export interface BlockLimits {
  readonly leastRows: number;
  readonly mostRows: number;
  /** Scores of one size that a block should have. */
  readonly blockScores: number;
  /** Scores held at once, over all sizes. */
  readonly scoresAtOnce: number;
}

/** Blocks of 2.4 MB of scores, for the caches of one core; 128 MB in all. */
const ONE_CORE: BlockLimits = {
  ...{ leastRows: 40, mostRows: 200, blockScores: 600_000, scoresAtOnce: 32_000_000 },
};
/** TensorFlow's kernels share a product over the cores and cost tens of microseconds each: few and large ones. */
const TENSORFLOW: BlockLimits = {
  ...{ leastRows: 40, mostRows: 456, blockScores: 6_000_000, scoresAtOnce: 96_000_000 },
};
/** Share of a GPU's free memory that scores may take: the rest is parameters, moments, items and activations. */
const GPU_SHARE = 0.25;

/** Free bytes of the first GPU as the driver tells; null where it does not. */
export function freeGpuBytes(run = spawnSync): number | null {
  const query = ['--query-gpu=memory.free', '--format=csv,noheader,nounits'];
  const { status, stdout } = run('nvidia-smi', query, { encoding: 'utf8', timeout: 5_000 });
  const mebibytes = Number.parseInt(String(stdout ?? ''), 10);
  return status === 0 && mebibytes > 0 ? mebibytes * 2 ** 20 : null;
}

/** Limits for a GPU with so much free memory. */
export function gpuLimits(freeBytes: number): BlockLimits {
  const scoresAtOnce = Math.max(TENSORFLOW.scoresAtOnce, Math.floor((GPU_SHARE * freeBytes) / 4));
  return {
    ...{ leastRows: 40, mostRows: 8_200, scoresAtOnce },
    blockScores: Math.floor(scoresAtOnce / 12),
  };
}

let gpu: BlockLimits | null = null;

/** Limits of the backend in use; a GPU is asked once, when nothing of a step lies on it yet. */
export function blockLimits(): BlockLimits {
  if (tf.getBackend() !== 'tensorflow') return ONE_CORE;
  const { isUsingGpuDevice } = tf.backend() as { isUsingGpuDevice?: boolean };
  if (isUsingGpuDevice !== true) return TENSORFLOW;
  const free = gpu === null ? freeGpuBytes() : null;
  gpu ??= free === null ? TENSORFLOW : gpuLimits(free);
  return gpu;
}

/** Items a chunk. */
export function chunkItems(items: number, sizes: number, limits = blockLimits()): number {
  const most = Math.floor(limits.scoresAtOnce / (limits.leastRows * (sizes + 3)));
  return Math.min(items, Math.max(1_024, most));
}

/** Labels a block: an odd multiple of 8, since transposing 64 or 256 rows is up to six times slower on wasm. */
export function blockRows(items: number, limits = blockLimits()): number {
  const { mostRows, leastRows, blockScores } = limits;
  const wanted = Math.min(mostRows, Math.max(leastRows, blockScores / items));
  return 16 * Math.floor((wanted - 8) / 16) + 8;
}

/** Numbers that the scores of one block and chunk take on wasm, over all sizes: for estimates of memory. */
export function scoresAtOnce(items: number, sizes: number, itemChunk: number): number {
  const chunk = itemChunk === 0 ? chunkItems(items, sizes, ONE_CORE) : Math.min(itemChunk, items);
  return blockRows(chunk, ONE_CORE) * chunk * (sizes + 3);
}
