/*
 * Nested linear layers, y[segment i] = W_i x[0:m_i] + b_i, forward and backward, on dense matrices
 * whose structural zeros stay zero: [out_parts * width, in_parts * width]. Narrow segments share
 * one product, wide ones have their own, so that little of the zero half is multiplied. Part of
 * target.c: compiled once per target.
 */

#define SHARED_WIDTH 64 /* segments that end here or before are one product */

/* The end of the group of segments that begins at `begin`; *next = index of the segment after it.
 */
static long group_end(const linear_call *c, int k, int *next) {
  while (k + 1 < c->sizes && c->ends[k + 1] <= SHARED_WIDTH) k++;
  *next = k + 1;
  return c->ends[k];
}

typedef struct {
  const linear_call *call;
  float *sums;
} linear_pass;

static void add_bias_work(void *arg, int thread, int threads) {
  const linear_call *c = arg;
  long from, to, columns = c->out_parts * c->width;
  pool_share(c->rows, thread, threads, &from, &to);
  for (long row = from; row < to; row++)
    if (c->bias)
      memcpy(c->y + row * columns, c->bias, (size_t)columns * sizeof(float));
    else
      memset(c->y + row * columns, 0, (size_t)columns * sizeof(float));
}

static long nested_linear_room(long width, int parts, int threads) {
  long sums = threads * 2 * width, product = gemm_room(parts * width, threads);
  return sums > product ? sums : product;
}

static void nested_linear(linear_call c, float *room) {
  long inputs = c.in_parts * c.width, outputs = c.out_parts * c.width;
  pool_run(add_bias_work, &c);
  long begin = 0;
  for (int k = 0; k < c.sizes;) {
    long end = group_end(&c, k, &k);
    for (int out = 0; out < c.out_parts; out++)
      for (int in = 0; in < c.in_parts; in++)
        gemm((gemm_call){.m = c.rows,
                         .n = end - begin,
                         .k = end,
                         .a = c.x + in * c.width,
                         .a_row = inputs,
                         .a_column = 1,
                         .b = c.weight + (out * c.width + begin) * inputs + in * c.width,
                         .b_row = 1,
                         .b_column = inputs,
                         .c = c.y + out * c.width + begin,
                         .ldc = outputs,
                         .accumulate = 1},
             room);
    begin = end;
  }
}

static void bias_sums_work(void *arg, int thread, int threads) {
  const linear_pass *pass = arg;
  const linear_call *c = pass->call;
  long from, to, columns = c->out_parts * c->width;
  pool_share(c->rows, thread, threads, &from, &to);
  float *sums = pass->sums + thread * columns;
  memset(sums, 0, (size_t)columns * sizeof(float));
  for (long row = from; row < to; row++) EACH_VECTOR(d, n, 0, columns) {
      const float *up = c->upstream + row * columns + d;
      store_part(sums + d, load_part(sums + d, (int)n) + load_part(up, (int)n), (int)n);
    }
}

static void clear_structural_zeros(const linear_call *c) {
  long inputs = c->in_parts * c->width;
  for (int k = 0; k < c->sizes; k++)
    for (int out = 0; out < c->out_parts; out++)
      for (long row = k ? c->ends[k - 1] : 0; row < c->ends[k]; row++)
        for (int in = 0; in < c->in_parts; in++)
          memset(c->d_weight + (out * c->width + row) * inputs + in * c->width + c->ends[k], 0,
                 (size_t)(c->width - c->ends[k]) * sizeof(float));
}

static void nested_linear_backward(linear_call c, float *room) {
  long inputs = c.in_parts * c.width, outputs = c.out_parts * c.width;
  int threads = pool_threads();
  linear_pass pass = {&c, room};
  pool_run(bias_sums_work, &pass);
  for (int t = 0; t < threads; t++)
    for (long d = 0; d < outputs; d++)
      c.d_bias[d] = (t == 0 ? 0 : c.d_bias[d]) + room[t * outputs + d];
  long begin = 0;
  for (int k = 0; k < c.sizes;) {
    long end = group_end(&c, k, &k);
    for (int out = 0; out < c.out_parts; out++)
      for (int in = 0; in < c.in_parts; in++) {
        /* Columns begin .. end of x reach the outputs from begin on. */
        gemm((gemm_call){.m = c.rows,
                         .n = end - begin,
                         .k = c.width - begin,
                         .a = c.upstream + out * c.width + begin,
                         .a_row = outputs,
                         .a_column = 1,
                         .b = c.weight + (out * c.width + begin) * inputs + in * c.width + begin,
                         .b_row = inputs,
                         .b_column = 1,
                         .c = c.d_x + in * c.width + begin,
                         .ldc = inputs,
                         .accumulate = out > 0},
             room);
        gemm((gemm_call){.m = end - begin,
                         .n = end,
                         .k = c.rows,
                         .a = c.upstream + out * c.width + begin,
                         .a_row = 1,
                         .a_column = outputs,
                         .b = c.x + in * c.width,
                         .b_row = inputs,
                         .b_column = 1,
                         .c = c.d_weight + (out * c.width + begin) * inputs + in * c.width,
                         .ldc = inputs},
             room);
      }
    begin = end;
  }
  clear_structural_zeros(&c);
}
