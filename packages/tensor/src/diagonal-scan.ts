/**
 * The complex diagonal recurrence h_t = lambda * h_(t-1) + v_t over packed ragged sequences, and its gradient.
 *
 * Where it does not run natively it runs on the host over plain arrays: a few nanoseconds per number, while one kernel
 * call per time step and part costs more than the whole scan on wasm (its slices copy their source). Rows carry
 * [Re | -Im], so that Re(C h) is one real product with [Re C | Im C].
 */
import * as tf from '@tensorflow/tfjs-core';
import { activeNative } from './native/native-backend.js';
import { nativeScan, nativeScanBackward } from './native/native-operations.js';
import type { PackedRows } from './packed-rows.js';

/** lambda = exp(-nu + i theta), nu = exp(nuLog), theta = exp(thetaLog), in double precision. */
export interface Lambda {
  readonly real: Float64Array;
  readonly imaginary: Float64Array;
  readonly nu: Float64Array;
  readonly theta: Float64Array;
}

export function lambdaOf(nuLog: ArrayLike<number>, thetaLog: ArrayLike<number>): Lambda {
  const nu = Float64Array.from(nuLog, Math.exp);
  const theta = Float64Array.from(thetaLog, Math.exp);
  return {
    real: nu.map((value, d) => Math.exp(-value) * Math.cos(theta[d]!)),
    imaginary: nu.map((value, d) => Math.exp(-value) * Math.sin(theta[d]!)),
    nu,
    theta,
  };
}

/**
 * @param v [rows, 2D], each row [Re v | Im v].
 * @param silent rows whose v is taken as 0 (empty history): 1 where silent.
 * @returns [rows, 2D], each row [Re h | -Im h].
 */
export function diagonalScan(
  v: tf.Tensor2D,
  lambda: Lambda,
  layout: PackedRows,
  silent: Uint8Array,
): tf.Tensor2D {
  const native = activeNative();
  if (native !== null) return nativeScan(native, v, lambda, layout, silent);
  return tf.tensor2d(scanOnHost(v.dataSync() as Float32Array, lambda, layout, silent), v.shape);
}

function scanOnHost(
  v: Float32Array,
  { real, imaginary }: Lambda,
  layout: PackedRows,
  silent: Uint8Array,
): Float32Array {
  const width = real.length;
  const stride = 2 * width;
  const h = new Float32Array(v.length);
  for (let t = 0; t < layout.active.length; t++) {
    const before = t === 0 ? 0 : layout.start[t - 1]!;
    for (let s = 0; s < layout.active[t]!; s++) {
      const row = layout.start[t]! + s;
      const at = row * stride;
      if (silent[row] === 0) h.set(v.subarray(at, at + stride), at);
      for (let d = silent[row] === 0 ? width : stride; d < stride; d++) h[at + d] = -h[at + d]!;
      if (t === 0) continue;
      const from = (before + s) * stride;
      for (let d = 0; d < width; d++) {
        const re = h[from + d]!;
        const im = -h[from + width + d]!;
        h[at + d] = h[at + d]! + real[d]! * re - imaginary[d]! * im;
        h[at + width + d] = h[at + width + d]! - (real[d]! * im + imaginary[d]! * re);
      }
    }
  }
  return h;
}

export interface ScanGradients {
  /** [rows, 2D], [d/dRe v | d/dIm v]; 0 on silent rows. */
  readonly v: tf.Tensor2D;
  readonly nuLog: Float32Array;
  readonly thetaLog: Float32Array;
}

/**
 * @param upstream [rows, 2D], the gradient by [Re h | -Im h].
 * @param h what `diagonalScan` returned.
 */
export function diagonalScanBackward(
  upstream: tf.Tensor2D,
  h: tf.Tensor2D,
  lambda: Lambda,
  layout: PackedRows,
  silent: Uint8Array,
): ScanGradients {
  const native = activeNative();
  if (native !== null) {
    const { v, dReal, dImaginary } = nativeScanBackward(
      native,
      upstream,
      h,
      lambda,
      layout,
      silent,
    );
    return { v, ...lambdaGradients(lambda, dReal, dImaginary) };
  }
  const v = new Float32Array(upstream.dataSync());
  const hidden = h.dataSync() as Float32Array;
  const { dReal, dImaginary } = scanBackwardOnHost(v, hidden, lambda, layout, silent);
  return { v: tf.tensor2d(v, upstream.shape), ...lambdaGradients(lambda, dReal, dImaginary) };
}

/** Gradients by the logarithms of nu and theta from those by the two halves of lambda. */
function lambdaGradients(
  { real, imaginary, nu, theta }: Lambda,
  dReal: Float64Array,
  dImaginary: Float64Array,
) {
  const width = real.length;
  const nuLog = new Float32Array(width);
  const thetaLog = new Float32Array(width);
  for (let d = 0; d < width; d++) {
    nuLog[d] = -nu[d]! * (dReal[d]! * real[d]! + dImaginary[d]! * imaginary[d]!);
    thetaLog[d] = theta[d]! * (dImaginary[d]! * real[d]! - dReal[d]! * imaginary[d]!);
  }
  return { nuLog, thetaLog };
}

/** Turns `upstream` into the gradient by v; returns those by the two halves of lambda. */
function scanBackwardOnHost(
  upstream: Float32Array,
  h: Float32Array,
  { real, imaginary }: Lambda,
  layout: PackedRows,
  silent: Uint8Array,
) {
  const width = real.length;
  const stride = 2 * width;
  const dReal = new Float64Array(width);
  const dImaginary = new Float64Array(width);
  for (let t = layout.active.length - 1; t > 0; t--) {
    for (let s = 0; s < layout.active[t]!; s++) {
      const at = (layout.start[t]! + s) * stride;
      const from = (layout.start[t - 1]! + s) * stride;
      for (let d = 0; d < width; d++) {
        const gRe = upstream[at + d]!;
        const gIm = -upstream[at + width + d]!;
        const re = h[from + d]!;
        const im = -h[from + width + d]!;
        dReal[d]! += gRe * re + gIm * im;
        dImaginary[d]! += gIm * re - gRe * im;
        upstream[from + d]! += real[d]! * gRe + imaginary[d]! * gIm;
        upstream[from + width + d]! += imaginary[d]! * gRe - real[d]! * gIm;
      }
    }
  }
  for (let row = 0; row < layout.rows; row++) {
    const at = row * stride;
    if (silent[row] !== 0) upstream.fill(0, at, at + stride);
    else for (let d = width; d < stride; d++) upstream[at + d] = -upstream[at + d]!;
  }
  return { dReal, dImaginary };
}
