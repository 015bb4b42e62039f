/*
 * The complex diagonal recurrence h_t = lambda h_(t-1) + v_t over packed ragged sequences, and its
 * gradient. Rows stand in time-major order, the sequences still running at step t first
 * (packed-rows.ts of @nestrec/tensor). Rows of v are [Re v | Im v], rows of h are [Re h | -Im h].
 * Part of target.c: compiled once per target. Threads share coordinates.
 */

/* The first `count` of `numbers` in float32, and zeros. */
INLINE vf narrowed(const double *numbers, int count) {
  float parts[VW] = {0};
  for (int z = 0; z < count; z++) parts[z] = (float)numbers[z];
  return load(parts);
}

/* This thread's coordinates, a whole number of vectors but at the end. */
static void scan_share(const scan_call *c, int thread, int threads, long *from, long *to) {
  pool_share((c->width + VW - 1) / VW, thread, threads, from, to);
  *from *= VW, *to = *to * VW < c->width ? *to * VW : c->width;
}

static void scan_work(void *arg, int thread, int threads) {
  const scan_call *c = arg;
  long from, to, width = c->width, stride = 2 * width;
  scan_share(c, thread, threads, &from, &to);
  EACH_VECTOR(d, many, from, to) {
    int n = (int)many;
    vf real = narrowed(c->real + d, n), imaginary = narrowed(c->imaginary + d, n);
    for (long t = 0; t < c->steps; t++)
      for (long s = 0; s < c->active[t]; s++) {
        long row = c->start[t] + s, at = row * stride + d;
        vf re = {0}, im = {0};
        if (!c->silent[row]) re = load_part(c->v + at, n), im = load_part(c->v + at + width, n);
        if (t > 0) {
          long before = (c->start[t - 1] + s) * stride + d;
          vf h = load_part(c->out + before, n), minus = load_part(c->out + before + width, n);
          re += real * h + imaginary * minus;
          im += imaginary * h - real * minus;
        }
        store_part(c->out + at, re, n);
        store_part(c->out + at + width, -im, n);
      }
  }
}

static void diagonal_scan(scan_call c) { pool_run(scan_work, &c); }

static void scan_backward_work(void *arg, int thread, int threads) {
  const scan_call *c = arg;
  long from, to, width = c->width, stride = 2 * width;
  scan_share(c, thread, threads, &from, &to);
  EACH_VECTOR(d, many, from, to) {
    int n = (int)many;
    vf real = narrowed(c->real + d, n), imaginary = narrowed(c->imaginary + d, n);
    for (int z = 0; z < n; z++) c->d_real[d + z] = c->d_imaginary[d + z] = 0;
    for (long t = c->steps - 1; t > 0; t--) {
      vf sum_real = {0}, sum_imaginary = {0};
      for (long s = 0; s < c->active[t]; s++) {
        long at = (c->start[t] + s) * stride + d, before = (c->start[t - 1] + s) * stride + d;
        vf up_re = load_part(c->out + at, n),
           up_im = load_part(c->out + at + width, n); /* by Re h, by -Im h */
        vf h = load_part(c->h + before, n), minus = load_part(c->h + before + width, n);
        sum_real += up_re * h + up_im * minus;
        sum_imaginary += up_re * minus - up_im * h;
        vf re = load_part(c->out + before, n) + real * up_re - imaginary * up_im;
        vf im = load_part(c->out + before + width, n) + imaginary * up_re + real * up_im;
        store_part(c->out + before, re, n);
        store_part(c->out + before + width, im, n);
      }
      float parts[2][VW];
      store(parts[0], sum_real);
      store(parts[1], sum_imaginary);
      for (int z = 0; z < n; z++)
        c->d_real[d + z] += parts[0][z], c->d_imaginary[d + z] += parts[1][z];
    }
    for (long row = 0; row < c->rows; row++) {
      float *re = c->out + row * stride + d, *im = re + width;
      vf keep = splat(c->silent[row] ? 0.0f : 1.0f);
      store_part(re, load_part(re, n) * keep, n);
      store_part(im, load_part(im, n) * -keep, n);
    }
  }
}

static void diagonal_scan_backward(scan_call c) { pool_run(scan_backward_work, &c); }
