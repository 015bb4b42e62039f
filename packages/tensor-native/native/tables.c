/*
 * Rows of tables: picking them, adding into them, and the item table E = F P^T + p + R
 * (docs/model.md, sections 1 and 6a), whose row 0 is the padding row p. Part of target.c: compiled
 * once per target.
 */

static void gather_work(void *arg, int thread, int threads) {
  const rows_call *c = arg;
  long from, to;
  pool_share(c->count, thread, threads, &from, &to);
  for (long i = from; i < to; i++)
    memcpy(c->to + i * c->width, c->from + c->indices[i] * c->width,
           (size_t)c->width * sizeof(float));
}

/* Row i of `to` = row indices[i] of `from`. */
static void gather_rows(rows_call c) { pool_run(gather_work, &c); }

static void add_rows_work(void *arg, int thread, int threads) {
  const rows_call *c = arg;
  long from, to;
  pool_share((c->width + VW - 1) / VW, thread, threads, &from, &to);
  from *= VW, to = to * VW < c->width ? to * VW : c->width;
  for (long i = 0; i < c->count; i++) {
    float *row = c->to + c->indices[i] * c->width;
    EACH_VECTOR(d, n, from, to) {
      store_part(row + d,
                 load_part(row + d, (int)n) + load_part(c->from + i * c->width + d, (int)n),
                 (int)n);
    }
  }
}

/* Row indices[i] of `to` += row i of `from`, in the order of i. Threads share columns, so that
 * repeats add up. */
static void add_rows(rows_call c) { pool_run(add_rows_work, &c); }

static void table_start_work(void *arg, int thread, int threads) {
  const table_call *c = arg;
  long from, to;
  pool_share(c->items + 1, thread, threads, &from, &to);
  for (long row = from; row < to; row++) {
    float *out = c->table + row * c->width;
    if (row == 0 || !c->residual) {
      memcpy(out, c->bias, (size_t)c->width * sizeof(float));
      continue;
    }
    const float *residual = c->residual + (row - 1) * c->width;
    for (int k = 0; k < c->sizes; k++) {
      float factor = c->mask ? c->mask[(row - 1) * c->sizes + k] : 1.0f;
      EACH_VECTOR(d, n, k ? c->ends[k - 1] : 0, c->ends[k]) {
        vf r = load_part(residual + d, (int)n) * factor + load_part(c->bias + d, (int)n);
        store_part(out + d, r, (int)n);
      }
    }
  }
}

typedef struct {
  const table_call *call;
  float *sums; /* width for each thread */
} table_pass;

static long item_table_room(long width, long features, int threads) {
  long product = gemm_room(width > features ? width : features, threads);
  return threads * width > product ? threads * width : product;
}

static void item_table(table_call c, float *room) {
  pool_run(table_start_work, &c);
  if (c.features == 0) return;
  gemm((gemm_call){.m = c.items + 1,
                   .n = c.width,
                   .k = c.features,
                   .a = c.feature_rows,
                   .a_row = c.features,
                   .a_column = 1,
                   .b = c.projector,
                   .b_row = 1,
                   .b_column = c.features,
                   .c = c.table,
                   .ldc = c.width,
                   .accumulate = 1},
       room);
}

static void table_backward_work(void *arg, int thread, int threads) {
  const table_pass *pass = arg;
  const table_call *c = pass->call;
  long from, to;
  pool_share(c->items + 1, thread, threads, &from, &to);
  float *sums = pass->sums + thread * c->width;
  memset(sums, 0, (size_t)c->width * sizeof(float));
  for (long row = from; row < to; row++) {
    const float *up = c->table + row * c->width;
    EACH_VECTOR(d, n, 0, c->width)
    store_part(sums + d, load_part(sums + d, (int)n) + load_part(up + d, (int)n), (int)n);
    if (row == 0 || !c->d_residual) continue;
    float *out = c->d_residual + (row - 1) * c->width;
    for (int k = 0; k < c->sizes; k++) {
      float factor = c->mask ? c->mask[(row - 1) * c->sizes + k] : 1.0f;
      EACH_VECTOR(d, n, k ? c->ends[k - 1] : 0, c->ends[k])
      store_part(out + d, load_part(up + d, (int)n) * factor, (int)n);
    }
  }
}

/* Gradients by P, p and R from that by E, which stands in `table`. */
static void item_table_backward(table_call c, float *room) {
  table_pass pass = {&c, room};
  pool_run(table_backward_work, &pass);
  for (int t = 0; t < pool_threads(); t++)
    for (long d = 0; d < c.width; d++)
      c.d_bias[d] = (t == 0 ? 0 : c.d_bias[d]) + room[t * c.width + d];
  if (c.features == 0) return;
  gemm((gemm_call){.m = c.width,
                   .n = c.features,
                   .k = c.items + 1,
                   .a = c.table,
                   .a_row = 1,
                   .a_column = c.width,
                   .b = c.feature_rows,
                   .b_row = c.features,
                   .b_column = 1,
                   .c = c.d_projector,
                   .ldc = c.features},
       room);
}
