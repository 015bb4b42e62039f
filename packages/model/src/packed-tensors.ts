/** The packed parameters as tensors: what an optimiser steps, and the part of it that one block uses. */
import { blockPrefix } from '@nestrec/parameters';
import type { TensorMap } from '@nestrec/tensor';
import type * as tf from '@tensorflow/tfjs-core';

/** Packed parameters by packed name. */
export type Parameters = ReadonlyMap<string, tf.Variable>;

/** The packed tensors of one block, by their name within the block (`feed_forward.gate.weight`). */
export function blockTensors(parameters: TensorMap, block: number): TensorMap {
  const prefix = `${blockPrefix(block)}.`;
  const tensors = new Map<string, tf.Tensor>();
  for (const [name, tensor] of parameters) {
    if (name.startsWith(prefix)) tensors.set(name.slice(prefix.length), tensor);
  }
  return tensors;
}
