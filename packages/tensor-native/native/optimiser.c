/*
 * AdamW (Loshchilov and Hutter, ICLR 2019) in one pass over a parameter, and sums of squares for
 * clipping. Part of target.c: compiled once per target.
 */

static void adamw_work(void *arg, int thread, int threads) {
  const adamw_call *c = arg;
  long from, to, piece = c->indices || c->factors ? c->width : 4096;
  long count = c->rows * c->width;
  pool_share((count + piece - 1) / piece, thread, threads, &from, &to);
  vf gain1 = splat((1 - c->beta1) * c->scale), gain2 = splat((1 - c->beta2) * c->scale * c->scale);
  for (long p = from; p < to; p++) {
    long begin = p * piece, end = begin + piece < count ? begin + piece : count;
    long row = c->indices ? c->indices[p] : p;
    long shift = c->indices ? row * c->width - begin : 0;
    vf rate = splat(c->factors && c->by_row ? c->rate * c->factors[row] : c->rate);
    const float *columns = c->by_row ? NULL : c->factors;
    EACH_VECTOR(i, many, begin, end) {
      int n = (int)many;
      vf g = load_part(c->gradient + i, n);
      vf m = load_part(c->m + shift + i, n) * c->beta1 + g * gain1;
      vf v = load_part(c->v + shift + i, n) * c->beta2 + g * g * gain2;
      vf step = columns ? load_part(columns + (i - begin), n) * rate : rate;
      vf change = m * step / (vsqrt(v) * c->deviation + c->eps);
      store_part(c->m + shift + i, m, n);
      store_part(c->v + shift + i, v, n);
      store_part(c->parameter + shift + i,
                 load_part(c->parameter + shift + i, n) * c->shrink - change, n);
    }
  }
}

static void adamw(adamw_call c) { pool_run(adamw_work, &c); }

typedef struct {
  long count;
  const float *x;
  double *sums;
} squares_call;

static void squares_work(void *arg, int thread, int threads) {
  const squares_call *c = arg;
  long from, to;
  pool_share((c->count + SQUARES_PIECE - 1) / SQUARES_PIECE, thread, threads, &from, &to);
  for (long p = from; p < to; p++) {
    long begin = p * SQUARES_PIECE,
         end = begin + SQUARES_PIECE < c->count ? begin + SQUARES_PIECE : c->count;
    vf sum = {0};
    EACH_VECTOR(i, n, begin, end) {
      vf x = load_part(c->x + i, (int)n);
      sum += x * x;
    }
    c->sums[p] = sum_of(sum);
  }
}

/* Sum of squares; the same for any number of threads. `room`: a double for each SQUARES_PIECE
 * numbers. */
static double sum_squares(const float *x, long count, double *room) {
  squares_call c = {count, x, room};
  pool_run(squares_work, &c);
  double total = 0;
  for (long p = 0; p < (count + SQUARES_PIECE - 1) / SQUARES_PIECE; p++) total += room[p];
  return total;
}
