/*
 * Products of float32 matrices with any strides, after Goto and van de Geijn, "Anatomy of
 * High-Performance Matrix Multiplication" (ACM TOMS 2008): both operands are packed into panels
 * that the inner loop reads in order, so no transpose is ever made. Part of target.c: compiled once
 * per target.
 */

#define KC 256       /* depth of a panel: NR columns of it stay in the first cache */
#define MC (MR * 12) /* rows of packed A: they stay in the second cache */

/* acc += A B over `depth`: A element (i, k) at a[i * rows + k * columns], B packed [depth][NR]. */
INLINE void tile_product(vf acc[MR][NV], long depth, const float *a, long rows, long columns,
                         const float *b) {
  for (long k = 0; k < depth; k++) {
    vf b0 = load(b), b1 = load(b + VW);
    UNROLL
    for (int i = 0; i < MR; i++) {
      vf factor = splat(a[i * rows]);
      acc[i][0] = multiply_add(factor, b0, acc[i][0]);
      acc[i][1] = multiply_add(factor, b1, acc[i][1]);
    }
    a += columns;
    b += NR;
  }
}

/* The same one vector wide: for segments of at most VW columns. */
INLINE void half_tile_product(vf acc[MR], long depth, const float *a, long rows, long columns,
                              const float *b) {
  for (long k = 0; k < depth; k++) {
    vf b0 = load(b);
    UNROLL
    for (int i = 0; i < MR; i++) acc[i] = multiply_add(splat(a[i * rows]), b0, acc[i]);
    a += columns;
    b += NR;
  }
}

/* C[0:m, 0:n] += acc, or = where `fresh`. */
INLINE void put_tile(vf acc[MR][NV], float *c, long ldc, int m, int n, int fresh) {
  if (m == MR && n == NR) {
    UNROLL
    for (int i = 0; i < MR; i++) {
      float *row = c + i * ldc;
      store(row, fresh ? acc[i][0] : load(row) + acc[i][0]);
      store(row + VW, fresh ? acc[i][1] : load(row + VW) + acc[i][1]);
    }
    return;
  }
  float parts[MR][NR];
  UNROLL
  for (int i = 0; i < MR; i++) {
    store(parts[i], acc[i][0]);
    store(parts[i] + VW, acc[i][1]);
  }
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) c[i * ldc + j] = fresh ? parts[i][j] : c[i * ldc + j] + parts[i][j];
}

#define ZERO_TILE(acc) \
  vf acc[MR][NV];      \
  UNROLL               \
  for (int z = 0; z < MR; z++) acc[z][0] = acc[z][1] = (vf){0}

/* Packs `count` <= width lines of `depth` numbers as [depth][width], missing lines as zeros. */
static void pack_panel(float *to, const float *from, long line, long along, int count, int width,
                       long depth) {
  if (line == 1 && count == width) {
    for (long k = 0; k < depth; k++)
      memcpy(to + k * width, from + k * along, (size_t)width * sizeof(float));
    return;
  }
  if (count < width) memset(to, 0, (size_t)(depth * width) * sizeof(float));
  long k = 0;
  if (along == 1) {
    /* Lines run along the depth: eight steps at a time, so that each line is read in order. */
    for (; k + 8 <= depth; k += 8)
      for (int i = 0; i < count; i++) {
        const float *p = from + i * line + k;
        float *q = to + k * width + i;
        UNROLL
        for (int j = 0; j < 8; j++) q[j * width] = p[j];
      }
  }
  for (; k < depth; k++)
    for (int i = 0; i < count; i++) to[k * width + i] = from[i * line + k * along];
}

static void gemm_work(void *arg, int thread, int threads) {
  const gemm_call *g = arg;
  long row_panels = (g->m + MR - 1) / MR, column_panels = (g->n + NR - 1) / NR;
  long row_from = 0, row_to = row_panels, column_from = 0, column_to = column_panels, from, to;
  if (row_panels >= 2 * threads || row_panels >= column_panels)
    pool_share(row_panels, thread, threads, &row_from, &row_to);
  else
    pool_share(column_panels, thread, threads, &column_from, &column_to);
  float *packed_a = g->packed_a + thread * (long)(MC * KC);
  for (long k0 = 0; k0 < g->k; k0 += KC) {
    long depth = g->k - k0 < KC ? g->k - k0 : KC;
    int fresh = k0 == 0 && !g->accumulate;
    if (k0 > 0 && threads > 1) pool_barrier();
    pool_share(column_panels, thread, threads, &from, &to);
    for (long p = from; p < to; p++) {
      int count = g->n - p * NR < NR ? (int)(g->n - p * NR) : NR;
      const float *b = g->b + k0 * g->b_row + p * NR * g->b_column;
      pack_panel(g->packed_b + p * NR * depth, b, g->b_column, g->b_row, count, NR, depth);
    }
    if (threads > 1) pool_barrier();
    for (long i0 = row_from; i0 < row_to; i0 += MC / MR) {
      long i1 = i0 + MC / MR < row_to ? i0 + MC / MR : row_to;
      for (long i = i0; i < i1; i++) {
        int count = g->m - i * MR < MR ? (int)(g->m - i * MR) : MR;
        const float *a = g->a + i * MR * g->a_row + k0 * g->a_column;
        pack_panel(packed_a + (i - i0) * MR * depth, a, g->a_row, g->a_column, count, MR, depth);
      }
      for (long j = column_from; j < column_to; j++) {
        int n = g->n - j * NR < NR ? (int)(g->n - j * NR) : NR;
        const float *b = g->packed_b + j * NR * depth;
        for (long i = i0; i < i1; i++) {
          int m = g->m - i * MR < MR ? (int)(g->m - i * MR) : MR;
          ZERO_TILE(acc);
          tile_product(acc, depth, packed_a + (i - i0) * MR * depth, 1, MR, b);
          put_tile(acc, g->c + i * MR * g->ldc + j * NR, g->ldc, m, n, fresh);
        }
      }
    }
  }
}

/* Room that `gemm` needs, in floats. */
static long gemm_room(long n, int threads) {
  long columns = (n + NR - 1) / NR * NR;
  return columns * KC + (long)threads * MC * KC;
}

/* C = A B, or C += A B: A [m, k], B [k, n] with any strides, C rows ldc apart. */
static void gemm(gemm_call g, float *room) {
  long columns = (g.n + NR - 1) / NR * NR;
  if (g.m == 0 || g.n == 0) return;
  if (g.k == 0) {
    if (!g.accumulate)
      for (long i = 0; i < g.m; i++) memset(g.c + i * g.ldc, 0, (size_t)g.n * sizeof(float));
    return;
  }
  g.packed_b = room;
  g.packed_a = room + columns * KC;
  pool_run(gemm_work, &g);
}
