/* The operations over all items, and the optimiser, as functions of JavaScript over typed arrays,
 * by Node-API. */
#include "calls.h"

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

/* What both directions of the item table begin with: sizes, features | null, featureWidth, table,
 * mask | null. */
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

/* itemTable(sizes, features | null, featureWidth, table, mask | null, projector | null, bias,
 * residual | null) */
BEGIN(itemTable, 8)
  table_call c = table_arguments(a);
  c.projector = c.features == 0 ? NULL : floats(a, 5, "projector", c.width * c.features);
  c.bias = floats(a, 6, "bias", c.width),
  c.residual = floats_or_null(a, 7, "residual", c.items * c.width);
  float *space = room(a, target->item_table_room(c.width, c.features, pool_threads()));
  if (!a->failed) target->item_table(c, space);
END

/* itemTableBackward(sizes, features | null, featureWidth, upstream, mask | null, dProjector | null,
 * dBias, dResidual | null) */
BEGIN(itemTableBackward, 8)
  table_call c = table_arguments(a);
  c.d_projector = c.features == 0 ? NULL : floats(a, 5, "dProjector", c.width * c.features);
  c.d_bias = floats(a, 6, "dBias", c.width),
  c.d_residual = floats_or_null(a, 7, "dResidual", c.items * c.width);
  float *space = room(a, target->item_table_room(c.width, c.features, pool_threads()));
  if (!a->failed) target->item_table_backward(c, space);
END

/* crossEntropy(sizes, states, table, targets, weights, scales, itemBias | null, prefixShares,
 * dStates, dTable, loss, dScales) */
BEGIN(crossEntropy, 12)
  entropy_call c = {0};
  long length = 0;
  c.ends = ladder(a, 0, &c.sizes, &c.width);
  c.table = any_floats(a, 2, "table", &length);
  c.items = rows_of(a, "table", length, c.width);
  c.targets = indices(a, 3, "targets", 0, c.items - 1, &c.labels);
  c.states = floats(a, 1, "states", c.labels * c.width);
  c.weights = floats(a, 4, "weights", c.sizes), c.scales = floats(a, 5, "scales", c.sizes);
  c.bias = floats_or_null(a, 6, "itemBias", c.items);
  c.shares = floats(a, 7, "prefixShares", c.sizes);
  c.d_states = floats(a, 8, "dStates", c.labels * c.width),
  c.d_table = floats(a, 9, "dTable", length);
  c.loss = doubles(a, 10, "loss", c.sizes), c.d_scales = doubles(a, 11, "dScales", c.sizes);
  for (int k = 0; k < c.sizes && !a->failed; k++)
    if (!(c.shares[k] >= 0 && c.shares[k] <= 1))
      fail(a, "prefixShares[%d] is %g; wanted 0 to 1.", k, c.shares[k]);
  if (!a->failed && (c.labels == 0 || c.items == 0))
    fail(a, "got %ld labels and %ld items; wanted at least one.", c.labels, c.items);
  for (int k = 0; k < c.sizes && !a->failed; k++)
    if (!(c.weights[k] >= 0) || !(c.scales[k] > 0))
      fail(a, "size %d has weight %g and scale %g; wanted them positive.", c.ends[k], c.weights[k],
           c.scales[k]);
  float *space =
      a->failed
          ? NULL
          : room(a, target->cross_entropy_room(c.labels, c.items, c.ends, c.sizes, pool_threads()));
  if (!a->failed) target->cross_entropy(c, space);
END

/* scaleRows(x, factors, out): row i of out = factors[i] * row i of x */
BEGIN(scaleRows, 3)
  scaling_call c = {0};
  long length = 0;
  c.factors = any_floats(a, 1, "factors", &c.rows);
  c.x = any_floats(a, 0, "x", &length);
  if (!a->failed && (c.rows == 0 || length % c.rows != 0))
    fail(a, "x has %ld numbers for %ld factors.", length, c.rows);
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
  if (!a->failed && (c.rows == 0 || length % c.rows != 0))
    fail(a, "x has %ld numbers for %ld rows.", length, c.rows);
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
  if (!a->failed && offsets != c.cases + 1)
    fail(a, "seenOffsets has %ld numbers; wanted %ld.", offsets, c.cases + 1);
  for (long i = 0; i < c.cases && !a->failed; i++)
    if (c.seen_offsets[i] > c.seen_offsets[i + 1])
      fail(a, "seenOffsets[%ld] is larger than the next.", i);
  c.all = array_of(a, 6, "all", napi_int32_array, "Int32Array", c.cases * c.sizes, NULL);
  c.masked = array_of(a, 7, "masked", napi_int32_array, "Int32Array", c.cases * c.sizes, NULL);
  float *space = a->failed ? NULL : room(a, target->ranks_room(c.width, c.sizes, pool_threads()));
  if (!a->failed) target->count_ranks(c, space);
END

/* adamw(parameter, m, v, gradient, width, indices | null, options [scale, shrink, beta1, beta2,
 * eps, rate, deviation], factors | null, byRow 0 | 1) */
BEGIN(adamw, 9)
  adamw_call c = {0};
  long length = 0, gradient = 0, count = 0;
  c.parameter = any_floats(a, 0, "parameter", &length);
  c.m = floats(a, 1, "m", length), c.v = floats(a, 2, "v", length);
  c.gradient = any_floats(a, 3, "gradient", &gradient);
  c.width = whole(a, 4, "width", 1, 1 << 30);
  c.rows = rows_of(a, "gradient", gradient, c.width);
  if (!is_null(a, 5)) {
    c.indices = indices(a, 5, "indices", 0, rows_of(a, "parameter", length, c.width) - 1, &count);
    if (!a->failed && count != c.rows)
      fail(a, "got %ld indices for %ld rows of gradient.", count, c.rows);
    for (long i = 1; i < count && !a->failed; i++)
      if (c.indices[i] <= c.indices[i - 1])
        fail(a, "indices[%ld] is %d after %d; wanted them ascending.", i, c.indices[i],
             c.indices[i - 1]);
  } else if (!a->failed && gradient != length)
    fail(a, "gradient has %ld numbers; wanted %ld.", gradient, length);
  const float *o = floats(a, 6, "options", 7);
  c.by_row = (int)whole(a, 8, "byRow", 0, 1);
  c.factors = floats_or_null(a, 7, "factors",
                             c.by_row ? rows_of(a, "parameter", length, c.width) : c.width);
  if (!a->failed) {
    c.scale = o[0], c.shrink = o[1], c.beta1 = o[2], c.beta2 = o[3], c.eps = o[4], c.rate = o[5],
    c.deviation = o[6];
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
