/**
 * The TensorFlow.js backend `native`: tensors are plain arrays, as on `cpu`, whose kernels it takes over for cold
 * work; products and the fused operations of this package run in C (@nestrec/tensor-native).
 *
 * Memory of outputs is used again: at the sizes of a training step, a fresh array costs more in page faults than the
 * work on it. An array that somebody has read or brought along is never used again.
 */
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { loadNativeOperations, type NativeOperations } from '@nestrec/tensor-native';
import { InternalError } from '@nestrec/errors';

const NAME = 'native';
/** Free memory kept for outputs to come. */
const MOST_KEPT_BYTES = 1_000_000_000;
/** Memory comes in sizes that are an eighth of a power of two apart, so that batches of unlike sizes share it. */
const STEPS_PER_OCTAVE = 8;
const SMALLEST_KEPT = 4_096;

function capacityFor(length: number): number {
  const step = 2 ** Math.max(0, Math.floor(Math.log2(length)) - Math.log2(STEPS_PER_OCTAVE));
  return Math.ceil(length / step) * step;
}

/** Float32 buffers that may be used again. */
class OutputMemory {
  private readonly free = new Map<number, ArrayBuffer[]>();
  /** Buffers that one tensor alone holds. */
  private readonly owned = new WeakSet<ArrayBufferLike>();
  private keptBytes = 0;

  /** An array for an output; `own` it once the output is known to the backend. */
  take(length: number): Float32Array {
    const capacity = length < SMALLEST_KEPT ? length : capacityFor(length);
    const buffer = this.free.get(capacity)?.pop();
    if (buffer !== undefined) this.keptBytes -= buffer.byteLength;
    return new Float32Array(buffer ?? new ArrayBuffer(4 * capacity), 0, length);
  }

  own(numbers: Float32Array): void {
    this.owned.add(numbers.buffer);
  }

  /** Takes an array back, unless it was not made here or somebody else may hold it. */
  giveBack(numbers: unknown): void {
    if (!(numbers instanceof Float32Array) || !this.owned.delete(numbers.buffer)) return;
    const buffer = numbers.buffer as ArrayBuffer;
    if (buffer.byteLength < 4 * SMALLEST_KEPT) return;
    if (this.keptBytes + buffer.byteLength > MOST_KEPT_BYTES) return;
    const capacity = buffer.byteLength / 4;
    const kept = this.free.get(capacity);
    if (kept === undefined) this.free.set(capacity, [buffer]);
    else kept.push(buffer);
    this.keptBytes += buffer.byteLength;
  }

  /** From now on somebody else may hold this array or a part of it. */
  handOut(numbers: unknown): void {
    if (numbers instanceof Float32Array) this.owned.delete(numbers.buffer);
  }

  isOwned(numbers: Float32Array): boolean {
    return this.owned.has(numbers.buffer);
  }
}

export class NativeBackend extends MathBackendCPU {
  private readonly memoryOfOutputs = new OutputMemory();

  constructor(readonly operations: NativeOperations) {
    super();
  }

  /** Kernels of `cpu` may bring a part of another tensor's array (`Slice` does): then two hold that one. */
  override write(
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
  ): object {
    this.memoryOfOutputs.handOut(values);
    return super.write(values, shape, dtype);
  }

  override readSync(dataId: object): tf.backend_util.BackendValues {
    const values = super.readSync(dataId);
    this.memoryOfOutputs.handOut(values);
    return values;
  }

  override disposeData(dataId: object, force = false): boolean {
    const values = this.data.has(dataId) ? this.data.get(dataId).values : undefined;
    const released = super.disposeData(dataId, force);
    if (released) this.memoryOfOutputs.giveBack(values);
    return released;
  }

  /** The array behind a float32 tensor itself, not a copy. */
  numbersOf(tensor: tf.TensorInfo): Float32Array {
    const { values } = this.data.get(tensor.dataId);
    if (values instanceof Float32Array) return values;
    throw new InternalError({ detail: `a tensor of ${tensor.dtype} where float32 was wanted` });
  }

  /** The array behind a variable, to be changed in place: no other tensor shares it afterwards. */
  numbersToChange(variable: tf.Variable): Float32Array {
    const entry = this.data.get(variable.dataId);
    const numbers = this.numbersOf(variable);
    if (entry.refCount === 1 && this.memoryOfOutputs.isOwned(numbers)) return numbers;
    const own = this.output(variable.shape);
    own.numbers.set(numbers);
    variable.assign(own.tensor);
    own.tensor.dispose();
    return own.numbers;
  }

  /** A tensor to be filled: its numbers are whatever stood there before. */
  output<T extends tf.Tensor = tf.Tensor>(shape: readonly number[]) {
    const { info, numbers } = this.outputInfo(shape);
    const tensor = tf.engine().makeTensorFromTensorInfo(info, this) as T;
    return { tensor, numbers };
  }

  /** The same for a kernel, whose outputs TensorFlow.js makes tensors of. */
  outputInfo(shape: readonly number[]): { info: tf.TensorInfo; numbers: Float32Array } {
    const numbers = this.memoryOfOutputs.take(shape.reduce((a, b) => a * b, 1));
    const info = this.makeTensorInfo([...shape], 'float32', numbers);
    this.memoryOfOutputs.own(numbers);
    return { info, numbers };
  }
}

/** Products of float32 matrices, one after the other where there are several. */
const batchMatMul: tf.KernelFunc = ({ inputs, backend, attrs }) => {
  const native = backend as NativeBackend;
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const { transposeA, transposeB } = attrs as unknown as tf.BatchMatMulAttrs;
  const [rowsA, columnsA] = a.shape.slice(-2) as [number, number];
  const [rowsB, columnsB] = b.shape.slice(-2) as [number, number];
  const outer = [a, b].map(({ shape }) => shape.slice(0, -2));
  const [batchA, batchB] = outer.map((sizes) => tf.util.sizeFromShape(sizes)) as [number, number];
  const [m, k] = transposeA ? [columnsA, rowsA] : [rowsA, columnsA];
  const n = transposeB ? rowsB : columnsB;
  const batches = Math.max(batchA, batchB);
  const batchShape = batchA >= batchB ? outer[0]! : outer[1]!;
  const { info, numbers: out } = native.outputInfo([...batchShape, m, n]);
  const [left, right] = [native.numbersOf(a), native.numbersOf(b)];
  for (let i = 0; i < batches; i++) {
    const from = { a: (i % batchA) * m * k, b: (i % batchB) * k * n, c: i * m * n };
    native.operations.multiply(
      left.subarray(from.a, from.a + m * k),
      right.subarray(from.b, from.b + k * n),
      out.subarray(from.c, from.c + m * n),
      ...([m, n, k, transposeA ? 1 : 0, transposeB ? 1 : 0] as const),
    );
  }
  return info;
};

/** Makes the backend known to TensorFlow.js. @throws Error where the operations are not built; it says what to do. */
export function registerNative(): void {
  if (tf.findBackend(NAME) !== null) return;
  const operations = loadNativeOperations();
  for (const kernel of tf.getKernelsForBackend('cpu')) {
    if (kernel.kernelName === 'BatchMatMul') continue;
    tf.registerKernel({ ...kernel, backendName: NAME });
  }
  tf.registerKernel({ kernelName: 'BatchMatMul', backendName: NAME, kernelFunc: batchMatMul });
  tf.registerBackend(NAME, () => new NativeBackend(operations));
}

/** How many threads share an operation of the native backend; without it, as many as the process may use processors. */
export function setNativeThreads(count: number): void {
  loadNativeOperations().setThreads(count);
}

/** The native backend where it is the one in use, otherwise null: then operations are composed of TensorFlow.js'. */
export function activeNative(): NativeBackend | null {
  return tf.getBackend() === NAME ? (tf.backend() as NativeBackend) : null;
}
