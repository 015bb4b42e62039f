/** Between tensors and plain named arrays. */
import * as tf from '@tensorflow/tfjs-core';
import type { NamedArray, NamedArrays } from '@nestrec/contracts';

/** Tensors by name; what the model calls parameters holds `tf.Variable`s. */
export type TensorMap = ReadonlyMap<string, tf.Tensor>;

/**
 * The numbers of the tensor that `compute` returns, with everything it made disposed. Never return a typed array
 * from `tf.tidy` itself: it searches the array for tensors, number by number.
 */
export function hostNumbers(compute: () => tf.Tensor): Float32Array {
  const tensor = tf.tidy(compute);
  const numbers = tensor.dataSync() as Float32Array;
  tensor.dispose();
  return numbers;
}

/** Copies every tensor to the host. */
export function toNamedArrays(tensors: TensorMap): NamedArrays {
  const arrays = new Map<string, NamedArray>();
  for (const [name, tensor] of tensors) {
    arrays.set(name, { shape: [...tensor.shape], data: new Float32Array(tensor.dataSync()) });
  }
  return arrays;
}

/** Uploads every array; the caller disposes the tensors. */
export function fromNamedArrays(arrays: NamedArrays): Map<string, tf.Tensor> {
  const tensors = new Map<string, tf.Tensor>();
  for (const [name, { shape, data }] of arrays) tensors.set(name, tf.tensor(data, [...shape]));
  return tensors;
}

export function disposeTensors(tensors: TensorMap): void {
  for (const tensor of tensors.values()) tensor.dispose();
}
