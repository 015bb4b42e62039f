/**
 * Named float32 arrays: how parameters, features and checkpoints travel between packages, free of any
 * TensorFlow type. Data are row-major.
 */
export interface NamedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Keys keep the names of `params` in the golden files; ours are added under plain names. */
export type NamedArrays = ReadonlyMap<string, NamedArray>;
