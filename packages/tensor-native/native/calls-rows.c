/* The operations on rows of activations as functions of JavaScript over typed arrays, by Node-API.
 */
#include "calls.h"

/* multiply(a, b, c, m, n, k, transposeA, transposeB): c = a b */
BEGIN(multiply, 8)
  long m = whole(a, 3, "m", 0, 1 << 30), n = whole(a, 4, "n", 0, 1 << 30),
       k = whole(a, 5, "k", 0, 1 << 30);
  int across_a = (int)whole(a, 6, "transposeA", 0, 1),
      across_b = (int)whole(a, 7, "transposeB", 0, 1);
  gemm_call g = {.m = m,
                 .n = n,
                 .k = k,
                 .a = floats(a, 0, "a", m * k),
                 .b = floats(a, 1, "b", k * n),
                 .a_row = across_a ? 1 : k,
                 .a_column = across_a ? m : 1,
                 .b_row = across_b ? 1 : n,
                 .b_column = across_b ? k : 1,
                 .c = floats(a, 2, "c", m * n),
                 .ldc = n};
  float *space = room(a, target->gemm_room(n, pool_threads()));
  if (!a->failed) target->gemm(g, space);
END

/* segmentNorm(sizes, x, gain, bias, out, normalised, inverse) */
BEGIN(segmentNorm, 7)
  norm_call c = {0};
  long length = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.x = any_floats(a, 1, "x", &length);
  c.rows = rows_of(a, "x", length, c.width);
  c.gain = floats(a, 2, "gain", c.width), c.bias = floats(a, 3, "bias", c.width);
  c.out = floats(a, 4, "out", length), c.out_normalised = floats(a, 5, "normalised", length);
  c.out_inverse = floats(a, 6, "inverse", c.rows * c.sizes);
  if (!a->failed) target->segment_norm(c);
END

/* segmentNormBackward(sizes, upstream, gain, normalised, inverse, dX, dGain, dBias) */
BEGIN(segmentNormBackward, 8)
  norm_call c = {0};
  long length = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.upstream = any_floats(a, 1, "upstream", &length);
  c.rows = rows_of(a, "upstream", length, c.width);
  c.gain = floats(a, 2, "gain", c.width), c.normalised = floats(a, 3, "normalised", length);
  c.inverse = floats(a, 4, "inverse", c.rows * c.sizes), c.out = floats(a, 5, "dX", length);
  c.d_gain = floats(a, 6, "dGain", c.width), c.d_bias = floats(a, 7, "dBias", c.width);
  c.room = room(a, pool_threads() * 2 * c.width);
  if (!a->failed) target->segment_norm_backward(c);
END

/* addMasked(a, b, mask | null, out): out = a + mask * b */
BEGIN(addMasked, 4)
  elements_call c = {0};
  c.a = any_floats(a, 0, "a", &c.count);
  c.b = floats(a, 1, "b", c.count), c.mask = floats_or_null(a, 2, "mask", c.count),
  c.out = floats(a, 3, "out", c.count);
  if (!a->failed) target->add_masked(c);
END

/* multiplyMask(a, mask, out): out = mask * a */
BEGIN(multiplyMask, 3)
  elements_call c = {0};
  c.a = any_floats(a, 0, "a", &c.count);
  c.mask = floats(a, 1, "mask", c.count), c.out = floats(a, 2, "out", c.count);
  if (!a->failed) target->multiply_mask(c);
END

/* gatedUnit(gate, value, mask | null, out): out = silu(gate) * value * mask */
BEGIN(gatedUnit, 4)
  elements_call c = {0};
  c.a = any_floats(a, 0, "gate", &c.count);
  c.b = floats(a, 1, "value", c.count), c.mask = floats_or_null(a, 2, "mask", c.count),
  c.out = floats(a, 3, "out", c.count);
  if (!a->failed) target->gated_unit(c);
END

/* gatedUnitBackward(upstream, gate, value, mask | null, dGate, dValue) */
BEGIN(gatedUnitBackward, 6)
  elements_call c = {0};
  c.upstream = any_floats(a, 0, "upstream", &c.count);
  c.a = floats(a, 1, "gate", c.count), c.b = floats(a, 2, "value", c.count),
  c.mask = floats_or_null(a, 3, "mask", c.count);
  c.out = floats(a, 4, "dGate", c.count), c.out2 = floats(a, 5, "dValue", c.count);
  if (!a->failed) target->gated_unit_backward(c);
END

/* What both directions of the scan begin with: active, start, silent, real, imaginary. */
static scan_call scan_arguments(arguments *a) {
  scan_call c = {0};
  long steps = 0;
  c.silent = bytes(a, 2, "silent", &c.rows);
  c.active = indices(a, 0, "active", 0, c.rows, &c.steps);
  c.start = indices(a, 1, "start", 0, c.rows, &steps);
  if (!a->failed && steps != c.steps) fail(a, "start has %ld steps; wanted %ld.", steps, c.steps);
  for (long t = 0; t < c.steps && !a->failed; t++) {
    long wanted = t == 0 ? 0 : c.start[t - 1] + c.active[t - 1];
    if (c.start[t] != wanted || c.start[t] + c.active[t] > c.rows ||
        (t > 0 && c.active[t] > c.active[t - 1]))
      fail(a,
           "step %ld has rows %d to %d of %ld; wanted them one after the other, never more than "
           "before.",
           t, c.start[t], c.start[t] + c.active[t], c.rows);
  }
  array_of(a, 3, "real", napi_float64_array, "Float64Array", -1, &c.width);
  c.real = doubles(a, 3, "real", c.width), c.imaginary = doubles(a, 4, "imaginary", c.width);
  return c;
}

/* diagonalScan(active, start, silent, real, imaginary, v, h) */
BEGIN(diagonalScan, 7)
  scan_call c = scan_arguments(a);
  c.v = floats(a, 5, "v", c.rows * 2 * c.width), c.out = floats(a, 6, "h", c.rows * 2 * c.width);
  if (!a->failed) target->diagonal_scan(c);
END

/* diagonalScanBackward(active, start, silent, real, imaginary, h, upstream -> dV, dReal,
 * dImaginary) */
BEGIN(diagonalScanBackward, 9)
  scan_call c = scan_arguments(a);
  c.h = floats(a, 5, "h", c.rows * 2 * c.width),
  c.out = floats(a, 6, "upstream", c.rows * 2 * c.width);
  c.d_real = doubles(a, 7, "dReal", c.width), c.d_imaginary = doubles(a, 8, "dImaginary", c.width);
  if (!a->failed) target->diagonal_scan_backward(c);
END

/* What both directions of a nested linear begin with: sizes, outParts, inParts, x, weight. */
static linear_call linear_arguments(arguments *a, long *length) {
  linear_call c = {0};
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.out_parts = (int)whole(a, 1, "outParts", 1, 2), c.in_parts = (int)whole(a, 2, "inParts", 1, 2);
  c.x = any_floats(a, 3, "x", length);
  c.rows = rows_of(a, "x", *length, c.in_parts * c.width);
  c.weight = floats(a, 4, "weight", c.out_parts * c.in_parts * c.width * c.width);
  return c;
}

/* nestedLinear(sizes, outParts, inParts, x, weight, bias | null, y) */
BEGIN(nestedLinear, 7)
  long length = 0;
  linear_call c = linear_arguments(a, &length);
  c.bias = floats_or_null(a, 5, "bias", c.out_parts * c.width),
  c.y = floats(a, 6, "y", c.rows * c.out_parts * c.width);
  float *space = room(a, target->nested_linear_room(c.width, 2, pool_threads()));
  if (!a->failed) target->nested_linear(c, space);
END

/* nestedLinearBackward(sizes, outParts, inParts, x, weight, upstream, dX, dWeight, dBias) */
BEGIN(nestedLinearBackward, 9)
  long length = 0;
  linear_call c = linear_arguments(a, &length);
  c.upstream = floats(a, 5, "upstream", c.rows * c.out_parts * c.width),
  c.d_x = floats(a, 6, "dX", length);
  c.d_weight = floats(a, 7, "dWeight", c.out_parts * c.in_parts * c.width * c.width);
  c.d_bias = floats(a, 8, "dBias", c.out_parts * c.width);
  float *space = room(a, target->nested_linear_room(c.width, 2, pool_threads()));
  if (!a->failed) target->nested_linear_backward(c, space);
END

/* dropoutMask(sizes, thresholds, kept, seed, picked | null, out) */
BEGIN(dropoutMask, 6)
  dropout_call c = {0};
  long length = 0, count = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.thresholds = indices(a, 1, "thresholds", 0, 65536, &count);
  if (!a->failed && count != c.sizes) fail(a, "got %ld thresholds; wanted %d.", count, c.sizes);
  c.kept = floats(a, 2, "kept", c.sizes);
  c.seed = (uint32_t)whole(a, 3, "seed", 0, 0xffffffffL);
  c.out = any_floats(a, 5, "out", &length);
  c.rows = rows_of(a, "out", length, c.width);
  if (!is_null(a, 4)) {
    c.picked = indices(a, 4, "picked", 0, 0x7fffffff, &count);
    if (!a->failed && count != c.rows) fail(a, "got %ld picked rows; wanted %ld.", count, c.rows);
  }
  if (!a->failed) target->dropout_mask(c);
END
