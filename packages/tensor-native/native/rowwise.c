/*
 * Operations on rows of activations [rows, width]: LayerNorm by segment, the gated unit, masks and
 * residuals, forward and backward. Part of target.c: compiled once per target. Threads share the
 * rows; sums over rows are kept per thread and added in a fixed order.
 */

#define NORM_EPSILON 1e-5f

#define EACH_VECTOR(d, n, from, to) \
  for (long d = (from), n; n = (to) - d < VW ? (to) - d : VW, d < (to); d += VW)

static void norm_work(void *arg, int thread, int threads) {
  const norm_call *c = arg;
  long from, to;
  pool_share(c->rows, thread, threads, &from, &to);
  for (long row = from; row < to; row++) {
    const float *x = c->x + row * c->width;
    for (int k = 0; k < c->sizes; k++) {
      long begin = k ? c->ends[k - 1] : 0, end = c->ends[k];
      vf sum = {0}, squares = {0};
      EACH_VECTOR(d, n, begin, end) sum += load_part(x + d, (int)n);
      float mean = sum_of(sum) / (float)(end - begin);
      EACH_VECTOR(d, n, begin, end) {
        vf centred = load_part(x + d, (int)n) - mean;
        if (n < VW) {
          float parts[VW];
          store(parts, centred);
          for (long z = n; z < VW; z++) parts[z] = 0;
          centred = load(parts);
        }
        squares += centred * centred;
      }
      float inverse = 1.0f / __builtin_sqrtf(sum_of(squares) / (float)(end - begin) + NORM_EPSILON);
      c->out_inverse[row * c->sizes + k] = inverse;
      EACH_VECTOR(d, n, begin, end) {
        vf normalised = (load_part(x + d, (int)n) - mean) * inverse;
        store_part(c->out_normalised + row * c->width + d, normalised, (int)n);
        vf y = normalised * load_part(c->gain + d, (int)n) + load_part(c->bias + d, (int)n);
        store_part(c->out + row * c->width + d, y, (int)n);
      }
    }
  }
}

/* out = gain * normalised + bias, normalised = (x - mean) / deviation of each segment. */
static void segment_norm(norm_call c) { pool_run(norm_work, &c); }

static void norm_backward_work(void *arg, int thread, int threads) {
  const norm_call *c = arg;
  long from, to;
  pool_share(c->rows, thread, threads, &from, &to);
  float *d_gain = c->room + thread * 2 * c->width, *d_bias = d_gain + c->width;
  memset(d_gain, 0, (size_t)(2 * c->width) * sizeof(float));
  for (long row = from; row < to; row++) {
    const float *up = c->upstream + row * c->width, *normalised = c->normalised + row * c->width;
    for (int k = 0; k < c->sizes; k++) {
      long begin = k ? c->ends[k - 1] : 0, end = c->ends[k];
      vf sum = {0}, projected = {0};
      EACH_VECTOR(d, n, begin, end) {
        vf u = load_part(up + d, (int)n), z = load_part(normalised + d, (int)n);
        vf g = u * load_part(c->gain + d, (int)n);
        sum += g;
        projected += g * z;
        store_part(d_gain + d, load_part(d_gain + d, (int)n) + u * z, (int)n);
        store_part(d_bias + d, load_part(d_bias + d, (int)n) + u, (int)n);
      }
      float mean = sum_of(sum) / (float)(end - begin);
      float along = sum_of(projected) / (float)(end - begin);
      float inverse = c->inverse[row * c->sizes + k];
      EACH_VECTOR(d, n, begin, end) {
        vf g = load_part(up + d, (int)n) * load_part(c->gain + d, (int)n);
        vf z = load_part(normalised + d, (int)n);
        store_part(c->out + row * c->width + d, (g - mean - z * along) * inverse, (int)n);
      }
    }
  }
}

/* Gradients by x (out), gain and bias. */
static void segment_norm_backward(norm_call c) {
  pool_run(norm_backward_work, &c);
  for (int t = 0; t < pool_threads(); t++)
    for (long d = 0; d < c.width; d++) {
      const float *part = c.room + t * 2 * c.width;
      c.d_gain[d] = t == 0 ? part[d] : c.d_gain[d] + part[d];
      c.d_bias[d] = t == 0 ? part[c.width + d] : c.d_bias[d] + part[c.width + d];
    }
}

INLINE vf mask_at(const float *mask, long i, int n) {
  return mask ? load_part(mask + i, n) : splat(1.0f);
}

/* 1 / (1 + e^-x); beyond 80 it is 0 or 1 to all digits. */
INLINE vf sigmoid_of(vf x) { return 1.0f / (1.0f + exp_of(-vmax(x, splat(-80.0f)))); }

#define DEFINE_ELEMENTS(name, ...)                                     \
  static void name##_work(void *arg, int thread, int threads) {        \
    const elements_call *c = arg;                                      \
    long from, to;                                                     \
    pool_share((c->count + 1023) / 1024, thread, threads, &from, &to); \
    from *= 1024, to = to * 1024 < c->count ? to * 1024 : c->count;    \
    EACH_VECTOR(i, many, from, to) {                                   \
      int n = (int)many;                                               \
      __VA_ARGS__                                                      \
    }                                                                  \
  }                                                                    \
  static void name(elements_call c) { pool_run(name##_work, &c); }

/* out = a + mask * b */
DEFINE_ELEMENTS(add_masked, {
  store_part(c->out + i, load_part(c->a + i, n) + mask_at(c->mask, i, n) * load_part(c->b + i, n),
             n);
})

/* out = mask * a */
DEFINE_ELEMENTS(multiply_mask,
                { store_part(c->out + i, mask_at(c->mask, i, n) * load_part(c->a + i, n), n); })

/* out = silu(a) * b * mask */
DEFINE_ELEMENTS(gated_unit, {
  vf gate = load_part(c->a + i, n);
  store_part(c->out + i, gate * sigmoid_of(gate) * load_part(c->b + i, n) * mask_at(c->mask, i, n),
             n);
})

/* out = gradient by a, out2 = gradient by b of gated_unit */
DEFINE_ELEMENTS(gated_unit_backward, {
  vf gate = load_part(c->a + i, n), up = load_part(c->upstream + i, n) * mask_at(c->mask, i, n);
  vf sigmoid = sigmoid_of(gate);
  vf silu = gate * sigmoid;
  store_part(c->out + i, up * load_part(c->b + i, n) * (sigmoid + silu - silu * sigmoid), n);
  store_part(c->out2 + i, up * silu, n);
})

static void scale_rows_work(void *arg, int thread, int threads) {
  const scaling_call *c = arg;
  long from, to;
  pool_share(c->rows, thread, threads, &from, &to);
  for (long row = from; row < to; row++) {
    const float *x = c->x + row * c->width;
    EACH_VECTOR(d, n, 0, c->width) {
      store_part(c->out + row * c->width + d, load_part(x + d, (int)n) * c->factors[row], (int)n);
    }
  }
}

/* Row i of out = factors[i] times row i of x. */
static void scale_rows(scaling_call c) { pool_run(scale_rows_work, &c); }

static void row_dots_work(void *arg, int thread, int threads) {
  const scaling_call *c = arg;
  long from, to;
  pool_share(c->rows, thread, threads, &from, &to);
  for (long row = from; row < to; row++) {
    vf sum = {0};
    EACH_VECTOR(d, n, 0, c->width) {
      long at = row * c->width + d;
      sum += load_part(c->x + at, (int)n) * load_part(c->y + at, (int)n);
    }
    c->out[row] = sum_of(sum);
  }
}

/* out[i] = inner product of rows i of x and y. */
static void row_dots(scaling_call c) { pool_run(row_dots_work, &c); }

static void dropout_work(void *arg, int thread, int threads) {
  const dropout_call *c = arg;
  long from, to;
  pool_share(c->rows, thread, threads, &from, &to);
  for (long row = from; row < to; row++) {
    uint32_t first = (uint32_t)((c->picked ? c->picked[row] : row) * c->width);
    float *out = c->out + row * c->width;
    for (int k = 0; k < c->sizes; k++) {
      uint32_t threshold = (uint32_t)c->thresholds[k];
      float kept = c->kept[k];
      for (int32_t d = k ? c->ends[k - 1] : 0; d < c->ends[k]; d++) {
        uint32_t x = (first + (uint32_t)d) * 0x9e3779b1u + c->seed;
        x = (x ^ (x >> 16)) * 0x7feb352du;
        x = (x ^ (x >> 15)) * 0x846ca68bu;
        x ^= x >> 16;
        out[d] = (x >> 16) < threshold ? 0.0f : kept;
      }
    }
  }
}

/* The numbers of dropout.ts of @nestrec/tensor, to the bit. */
static void dropout_mask(dropout_call c) { pool_run(dropout_work, &c); }
