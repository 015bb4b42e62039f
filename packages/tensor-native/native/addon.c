/*
 * The operations as functions of JavaScript over typed arrays, by Node-API. Results are written into arrays that the
 * caller hands in; nothing is kept between calls but scratch memory and the threads. One operation runs at a time, also
 * where several environments of one process call in.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "arguments.h"
#include "pool.h"

static const kernels *target;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static float *scratch;
static long scratch_floats;

static const kernels *best_target(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw"))
    return &kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &kernels_avx2;
#endif
  return &kernels_base;
}

/* Scratch memory of at least `count` floats, on a border of cache lines; grows, never shrinks. */
static float *room(arguments *a, long count) {
  if (a->failed) return NULL;
  if (count > scratch_floats) {
    void *grown = NULL;
    free(scratch);
    scratch = NULL, scratch_floats = 0;
    if (posix_memalign(&grown, 64, (size_t)count * sizeof(float) + 64) != 0) {
      fail(a, "no memory for %ld MB of scratch space.", count * 4 / 1000000);
      return NULL;
    }
    scratch = grown, scratch_floats = count;
  }
  return scratch;
}

#define BEGIN(name, arguments_wanted) \
  static napi_value js_##name(napi_env env, napi_callback_info info) { \
    pthread_mutex_lock(&one_at_a_time); \
    arguments arg = read_arguments(env, info, #name, arguments_wanted), *a = &arg; \
    napi_value result = NULL;
#define END \
    pthread_mutex_unlock(&one_at_a_time); \
    return result; \
  }

/* multiply(a, b, c, m, n, k, transposeA, transposeB): c = a b */
BEGIN(multiply, 8)
  long m = whole(a, 3, "m", 0, 1 << 30), n = whole(a, 4, "n", 0, 1 << 30), k = whole(a, 5, "k", 0, 1 << 30);
  int across_a = (int)whole(a, 6, "transposeA", 0, 1), across_b = (int)whole(a, 7, "transposeB", 0, 1);
  gemm_call g = {.m = m, .n = n, .k = k, .a = floats(a, 0, "a", m * k), .b = floats(a, 1, "b", k * n),
                 .a_row = across_a ? 1 : k, .a_column = across_a ? m : 1, .b_row = across_b ? 1 : n, .b_column = across_b ? k : 1,
                 .c = floats(a, 2, "c", m * n), .ldc = n};
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
  c.b = floats(a, 1, "b", c.count), c.mask = floats_or_null(a, 2, "mask", c.count), c.out = floats(a, 3, "out", c.count);
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
  c.b = floats(a, 1, "value", c.count), c.mask = floats_or_null(a, 2, "mask", c.count), c.out = floats(a, 3, "out", c.count);
  if (!a->failed) target->gated_unit(c);
END

/* gatedUnitBackward(upstream, gate, value, mask | null, dGate, dValue) */
BEGIN(gatedUnitBackward, 6)
  elements_call c = {0};
  c.upstream = any_floats(a, 0, "upstream", &c.count);
  c.a = floats(a, 1, "gate", c.count), c.b = floats(a, 2, "value", c.count), c.mask = floats_or_null(a, 3, "mask", c.count);
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
    if (c.start[t] != wanted || c.start[t] + c.active[t] > c.rows || (t > 0 && c.active[t] > c.active[t - 1]))
      fail(a, "step %ld has rows %d to %d of %ld; wanted them one after the other, never more than before.", t, c.start[t],
           c.start[t] + c.active[t], c.rows);
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

/* diagonalScanBackward(active, start, silent, real, imaginary, h, upstream -> dV, dReal, dImaginary) */
BEGIN(diagonalScanBackward, 9)
  scan_call c = scan_arguments(a);
  c.h = floats(a, 5, "h", c.rows * 2 * c.width), c.out = floats(a, 6, "upstream", c.rows * 2 * c.width);
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
  c.bias = floats_or_null(a, 5, "bias", c.out_parts * c.width), c.y = floats(a, 6, "y", c.rows * c.out_parts * c.width);
  float *space = room(a, target->nested_linear_room(c.width, 2, pool_threads()));
  if (!a->failed) target->nested_linear(c, space);
END

/* nestedLinearBackward(sizes, outParts, inParts, x, weight, upstream, dX, dWeight, dBias) */
BEGIN(nestedLinearBackward, 9)
  long length = 0;
  linear_call c = linear_arguments(a, &length);
  c.upstream = floats(a, 5, "upstream", c.rows * c.out_parts * c.width), c.d_x = floats(a, 6, "dX", length);
  c.d_weight = floats(a, 7, "dWeight", c.out_parts * c.in_parts * c.width * c.width);
  c.d_bias = floats(a, 8, "dBias", c.out_parts * c.width);
  float *space = room(a, target->nested_linear_room(c.width, 2, pool_threads()));
  if (!a->failed) target->nested_linear_backward(c, space);
END

/* gatherRows(table, width, indices, out) */
BEGIN(gatherRows, 4)
  rows_call c = {.width = whole(a, 1, "width", 1, 1 << 30)};
  long length = 0;
  c.from = any_floats(a, 0, "table", &length);
  c.indices = indices(a, 2, "indices", 0, rows_of(a, "table", length, c.width) - 1, &c.count);
  c.to = floats(a, 3, "out", c.count * c.width);
  if (!a->failed) target->gather_rows(c);
END

/* addRows(table, width, indices, rows): table[indices[i]] += rows[i] */
BEGIN(addRows, 4)
  rows_call c = {.width = whole(a, 1, "width", 1, 1 << 30)};
  long length = 0;
  c.to = any_floats(a, 0, "table", &length);
  c.indices = indices(a, 2, "indices", 0, rows_of(a, "table", length, c.width) - 1, &c.count);
  c.from = floats(a, 3, "rows", c.count * c.width);
  if (!a->failed) target->add_rows(c);
END

/* What both directions of the item table begin with: sizes, features | null, featureWidth, table, mask | null. */
static table_call table_arguments(arguments *a) {
  table_call c = {0};
  long length = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.features = whole(a, 2, "featureWidth", 0, 1 << 24);
  c.table = any_floats(a, 3, "table", &length);
  c.items = rows_of(a, "table", length, c.width) - 1;
  if (c.items < 0) fail(a, "table has no row.");
  c.feature_rows = c.features == 0 ? NULL : floats(a, 1, "features", (c.items + 1) * c.features);
  c.mask = floats_or_null(a, 4, "mask", c.items * c.sizes);
  return c;
}

/* itemTable(sizes, features | null, featureWidth, table, mask | null, projector | null, bias, residual | null) */
BEGIN(itemTable, 8)
  table_call c = table_arguments(a);
  c.projector = c.features == 0 ? NULL : floats(a, 5, "projector", c.width * c.features);
  c.bias = floats(a, 6, "bias", c.width), c.residual = floats_or_null(a, 7, "residual", c.items * c.width);
  float *space = room(a, target->item_table_room(c.width, c.features, pool_threads()));
  if (!a->failed) target->item_table(c, space);
END

/* itemTableBackward(sizes, features | null, featureWidth, upstream, mask | null, dProjector | null, dBias, dResidual | null) */
BEGIN(itemTableBackward, 8)
  table_call c = table_arguments(a);
  c.d_projector = c.features == 0 ? NULL : floats(a, 5, "dProjector", c.width * c.features);
  c.d_bias = floats(a, 6, "dBias", c.width), c.d_residual = floats_or_null(a, 7, "dResidual", c.items * c.width);
  float *space = room(a, target->item_table_room(c.width, c.features, pool_threads()));
  if (!a->failed) target->item_table_backward(c, space);
END

/* crossEntropy(sizes, states, table, targets, weights, scales, itemBias | null, dStates, dTable, loss, dScales) */
BEGIN(crossEntropy, 11)
  entropy_call c = {0};
  long length = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.table = any_floats(a, 2, "table", &length);
  c.items = rows_of(a, "table", length, c.width);
  c.targets = indices(a, 3, "targets", 0, c.items - 1, &c.labels);
  c.states = floats(a, 1, "states", c.labels * c.width);
  c.weights = floats(a, 4, "weights", c.sizes), c.scales = floats(a, 5, "scales", c.sizes);
  c.bias = floats_or_null(a, 6, "itemBias", c.items);
  c.d_states = floats(a, 7, "dStates", c.labels * c.width), c.d_table = floats(a, 8, "dTable", length);
  c.loss = doubles(a, 9, "loss", c.sizes), c.d_scales = doubles(a, 10, "dScales", c.sizes);
  if (!a->failed && (c.labels == 0 || c.items == 0)) fail(a, "got %ld labels and %ld items; wanted at least one.", c.labels, c.items);
  for (int k = 0; k < c.sizes && !a->failed; k++)
    if (!(c.weights[k] >= 0) || !(c.scales[k] > 0)) fail(a, "size %d has weight %g and scale %g; wanted them positive.", c.ends[k], c.weights[k], c.scales[k]);
  float *space = a->failed ? NULL : room(a, target->cross_entropy_room(c.labels, c.items, c.ends, c.sizes, pool_threads()));
  if (!a->failed) target->cross_entropy(c, space);
END

/* scaleRows(x, factors, out): row i of out = factors[i] * row i of x */
BEGIN(scaleRows, 3)
  scaling_call c = {0};
  long length = 0;
  c.factors = any_floats(a, 1, "factors", &c.rows);
  c.x = any_floats(a, 0, "x", &length);
  if (!a->failed && (c.rows == 0 || length % c.rows != 0)) fail(a, "x has %ld numbers for %ld factors.", length, c.rows);
  c.width = a->failed ? 0 : length / c.rows;
  c.out = floats(a, 2, "out", length);
  if (!a->failed) target->scale_rows(c);
END

/* rowDots(x, y, out): out[i] = inner product of rows i */
BEGIN(rowDots, 3)
  scaling_call c = {0};
  long length = 0;
  c.out = any_floats(a, 2, "out", &c.rows);
  c.x = any_floats(a, 0, "x", &length);
  if (!a->failed && (c.rows == 0 || length % c.rows != 0)) fail(a, "x has %ld numbers for %ld rows.", length, c.rows);
  c.width = a->failed ? 0 : length / c.rows;
  c.y = floats(a, 1, "y", length);
  if (!a->failed) target->row_dots(c);
END

/* countRanks(sizes, queries, table, targets, seenOffsets, seen, all, masked) */
BEGIN(countRanks, 8)
  ranks_call c = {0};
  long length = 0, seen = 0, offsets = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.table = any_floats(a, 2, "table", &length);
  c.items = rows_of(a, "table", length, c.width);
  c.targets = indices(a, 3, "targets", 0, c.items - 1, &c.cases);
  c.queries = floats(a, 1, "queries", c.cases * c.width);
  c.seen = indices(a, 5, "seen", 0, c.items - 1, &seen);
  c.seen_offsets = indices(a, 4, "seenOffsets", 0, seen, &offsets);
  if (!a->failed && offsets != c.cases + 1) fail(a, "seenOffsets has %ld numbers; wanted %ld.", offsets, c.cases + 1);
  for (long i = 0; i < c.cases && !a->failed; i++)
    if (c.seen_offsets[i] > c.seen_offsets[i + 1]) fail(a, "seenOffsets[%ld] is larger than the next.", i);
  c.all = array_of(a, 6, "all", napi_int32_array, "Int32Array", c.cases * c.sizes, NULL);
  c.masked = array_of(a, 7, "masked", napi_int32_array, "Int32Array", c.cases * c.sizes, NULL);
  float *space = a->failed ? NULL : room(a, target->ranks_room(c.width, c.sizes, pool_threads()));
  if (!a->failed) target->count_ranks(c, space);
END

/* adamw(parameter, m, v, gradient, width, indices | null, options [scale, shrink, beta1, beta2, eps, rate, deviation]) */
BEGIN(adamw, 7)
  adamw_call c = {0};
  long length = 0, gradient = 0, count = 0;
  c.parameter = any_floats(a, 0, "parameter", &length);
  c.m = floats(a, 1, "m", length), c.v = floats(a, 2, "v", length);
  c.gradient = any_floats(a, 3, "gradient", &gradient);
  c.width = whole(a, 4, "width", 1, 1 << 30);
  c.rows = rows_of(a, "gradient", gradient, c.width);
  if (!is_null(a, 5)) {
    c.indices = indices(a, 5, "indices", 0, rows_of(a, "parameter", length, c.width) - 1, &count);
    if (!a->failed && count != c.rows) fail(a, "got %ld indices for %ld rows of gradient.", count, c.rows);
    for (long i = 1; i < count && !a->failed; i++)
      if (c.indices[i] <= c.indices[i - 1]) fail(a, "indices[%ld] is %d after %d; wanted them ascending.", i, c.indices[i], c.indices[i - 1]);
  } else if (!a->failed && gradient != length) fail(a, "gradient has %ld numbers; wanted %ld.", gradient, length);
  const float *o = floats(a, 6, "options", 7);
  if (!a->failed) {
    c.scale = o[0], c.shrink = o[1], c.beta1 = o[2], c.beta2 = o[3], c.eps = o[4], c.rate = o[5], c.deviation = o[6];
    target->adamw(c);
  }
END

/* sumSquares(x) -> number */
BEGIN(sumSquares, 1)
  long length = 0;
  const float *x = any_floats(a, 0, "x", &length);
  float *space = room(a, 2 * (length / SQUARES_PIECE + 1));
  if (!a->failed) napi_create_double(env, target->sum_squares(x, length, (double *)space), &result);
END

/* setThreads(count) -> how many there are; 0 = as many as the machine has processors */
BEGIN(setThreads, 1)
  long count = whole(a, 0, "threads", 0, 1024);
  if (!a->failed) {
    if (count == 0) count = sysconf(_SC_NPROCESSORS_ONLN);
    napi_create_int32(env, pool_resize((int)count), &result);
  }
END

/* setTarget(name | null): null = the best that this processor has. -> name of the one in use */
BEGIN(setTarget, 1)
  char name[16] = "";
  size_t length = 0;
  const kernels *best = best_target(), *wanted = best;
  if (!is_null(a, 0)) {
    napi_get_value_string_utf8(env, a->values[0], name, sizeof(name), &length);
    wanted = NULL;
    if (strcmp(name, kernels_base.name) == 0) wanted = &kernels_base;
#if defined(__x86_64__)
    if (strcmp(name, kernels_avx2.name) == 0 && best != &kernels_base) wanted = &kernels_avx2;
    if (strcmp(name, kernels_avx512.name) == 0 && best == &kernels_avx512) wanted = &kernels_avx512;
#endif
    if (!wanted) fail(a, "no target \"%s\" on this processor; the best is %s.", name, best->name);
  }
  if (!a->failed) {
    target = wanted;
    napi_create_string_utf8(env, target->name, NAPI_AUTO_LENGTH, &result);
  }
END

NAPI_MODULE_INIT() {
  if (!target) target = best_target();
#define EXPORT(name) {#name, NULL, js_##name, NULL, NULL, NULL, napi_enumerable, NULL}
  napi_property_descriptor properties[] = {
      EXPORT(multiply), EXPORT(segmentNorm), EXPORT(segmentNormBackward), EXPORT(addMasked), EXPORT(multiplyMask),
      EXPORT(gatedUnit), EXPORT(gatedUnitBackward), EXPORT(diagonalScan), EXPORT(diagonalScanBackward),
      EXPORT(nestedLinear), EXPORT(nestedLinearBackward), EXPORT(gatherRows), EXPORT(addRows), EXPORT(itemTable),
      EXPORT(itemTableBackward), EXPORT(scaleRows), EXPORT(rowDots), EXPORT(countRanks), EXPORT(crossEntropy), EXPORT(adamw), EXPORT(sumSquares), EXPORT(setThreads), EXPORT(setTarget)};
  napi_define_properties(env, exports, sizeof(properties) / sizeof(properties[0]), properties);
  return exports;
}
