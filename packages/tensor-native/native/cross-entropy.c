/*
 * Cross-entropy over the whole catalogue at every nested size at once, with its gradients
 * (docs/model.md, section 5). Part of target.c: compiled once per target.
 *
 * Labels x items scores exist only as tiles: MR labels x NR items in registers, which grow segment
 * by segment, so that all sizes cost what the largest does. A first pass over the tiles finds each
 * label's log-sum-exp by size; a second one computes the tiles again, turns them into gradients,
 * adds the sizes from the largest down (suffix sums), and multiplies a block of BLOCK labels x
 * CHUNK items of them into both gradients while it is in the second cache. Threads own ranges of
 * items; their parts of what belongs to labels are added in a fixed order.
 *
 * y = score * scale + bias. Of e^(y - reference) only the difference is rounded: y itself may be
 * too large to keep the digits that count.
 */

/* Adds exp(y - reference) of one size's tile to its rows' sums, raising the references where y
 * rises far above them. */
INLINE void add_exponentials(vf acc[MR][NV], float factor, const float *shift, vf sums[MR],
                             float *reference, int stride) {
  vf shift0 = load(shift), shift1 = load(shift + VW), scale = splat(factor);
  UNROLL
  for (int i = 0; i < MR; i++) {
    float at = reference[i * stride];
    vf y0 = acc[i][0] * scale + (shift0 - at), y1 = acc[i][1] * scale + (shift1 - at);
    vf largest = vmax(y0, y1);
    if (__builtin_expect(any_larger(largest, splat(HEADROOM)), 0)) {
      float raised = at + max_of(largest);
      if (at == NOWHERE)
        raised = max_of(vmax(acc[i][0] * scale + shift0, acc[i][1] * scale + shift1));
      /* Sums that are nothing beside the new reference count as e^-86 of it. */
      sums[i] *= exp_of(splat(at - raised));
      reference[i * stride] = at = raised;
      y0 = acc[i][0] * scale + (shift0 - at), y1 = acc[i][1] * scale + (shift1 - at);
    }
    sums[i] += exp_of(y0) + exp_of(y1);
  }
}

/* First pass over a block of labels and a chunk of items: log-sum-exps so far, as reference and
 * sum. */
static void sum_block(const entropy_run *r, const entropy_room *room, long block, long first,
                      long count) {
  const entropy_call *c = &r->c;
  int sizes = c->sizes;
  long from = block * BLOCK, rows = c->labels - from < BLOCK ? c->labels - from : BLOCK;
  float *total = room->sums + from * sizes;
  vf sums[TILES][sizes][MR];
  float scores[TILES][MR * NR];
  memset(sums, 0, sizeof(sums));
  for (long row = 0; row < rows; row++)
    for (int k = 0; k < sizes; k++) sums[row / MR][k][row % MR][0] = total[row * sizes + k];
  for (long j = 0; j * NR < count; j++) {
    const float *columns = room->by_item + j * NR * c->width, *shift = r->shift + first + j * NR;
    for (int p = 0, q; p < r->count; p = q) {
      for (q = p; q < r->count && r->pieces[q].span == r->pieces[p].span;) q++;
      for (long i = 0; i * MR < rows; i++) {
        const float *row = r->rows + (from + i * MR) * c->width;
        ZERO_TILE(acc);
        if (p > 0) load_tile(acc, scores[i]);
        for (int at = p; at < q; at++) {
          const entropy_piece *piece = &r->pieces[at];
          tile_product(acc, piece->end - piece->begin, row + piece->begin * MR, 1, MR,
                       columns + piece->begin * NR);
          int k = piece->size;
          if (k < 0) continue;
          if (k >= r->kept_from)
            store_tile(kept_tile(r, from + i * MR, first + j * NR) + (k - r->kept_from) * MR * NR,
                       acc);
          float *reference = room->reference + (from + i * MR) * sizes + k;
          add_exponentials(acc, c->scales[k], shift, sums[i][k], reference, sizes);
        }
        if (q < r->count) store_tile(scores[i], acc);
      }
    }
  }
  for (long row = 0; row < rows; row++)
    for (int k = 0; k < sizes; k++) total[row * sizes + k] = sum_of(sums[row / MR][k][row % MR]);
}

/* Merges the threads' sums for this thread's share of labels; loss and limits of each. */
static void finish_sums(const entropy_run *r, const entropy_room *room, int thread, int threads) {
  const entropy_call *c = &r->c;
  long from, to;
  pool_share(r->panels * MR, thread, threads, &from, &to);
  for (long l = from; l < to; l++) {
    for (int k = 0; k < c->sizes; k++) {
      long at = l * c->sizes + k;
      if (l >= c->labels) { /* rows that fill the last tile have no gradient */
        r->limits[2 * at] = -NOWHERE, r->limits[2 * at + 1] = 0;
        continue;
      }
      double largest = -1e300, sum = 0;
      for (int t = 0; t < threads; t++) {
        entropy_room other = room_of(r, t);
        if (other.sums[at] > 0 && other.reference[at] > largest) largest = other.reference[at];
      }
      for (int t = 0; t < threads; t++) {
        entropy_room other = room_of(r, t);
        if (other.sums[at] > 0) sum += other.sums[at] * exp(other.reference[at] - largest);
      }
      double limit = largest + log(sum);
      double bias = c->bias ? c->bias[c->targets[l]] : 0;
      room->loss[k] += limit - r->own[l * c->sizes + k] - bias;
      room->d_scales[k] -= c->weights[k] / c->labels * r->own[l * c->sizes + k];
      if (r->factors[k] > 0) limit -= log(r->factors[k]);
      r->limits[2 * at] = (float)limit;
      r->limits[2 * at + 1] = (float)(limit - (float)limit);
    }
  }
}

/* The gradient by one size's scores of a tile: factor * probability. Adds gradient times score to
 * `product`. */
INLINE vf differentiate_tile(vf acc[MR][NV], float factor, const float *shift, const float *limits,
                             int stride, float *to) {
  vf shift0 = load(shift), shift1 = load(shift + VW), scale = splat(factor), product = {0};
  UNROLL
  for (int i = 0; i < MR; i++) {
    float limit = limits[2 * i * stride], rest = limits[2 * i * stride + 1];
    vf g0 = exp_of(acc[i][0] * scale + (shift0 - limit) - rest),
       g1 = exp_of(acc[i][1] * scale + (shift1 - limit) - rest);
    product += g0 * acc[i][0] + g1 * acc[i][1];
    store(to + i * LINE, g0);
    store(to + i * LINE + VW, g1);
  }
  return product;
}

/* Adds the shares of the larger sizes' gradients of a tile to the smaller ones' (suffix sums). */
INLINE void add_suffixes(float *gradients, int top, const float *shares) {
  for (int i = 0; i < MR; i++) {
    float *row = gradients + i * LINE;
    vf sum0 = load(row + (top - 1) * (long)BLOCK * LINE),
       sum1 = load(row + (top - 1) * (long)BLOCK * LINE + VW);
    for (int k = top - 2; k >= 0; k--) {
      float *to = row + k * (long)BLOCK * LINE;
      vf part = splat(shares[k]), own0 = load(to), own1 = load(to + VW);
      store(to, own0 + part * sum0);
      store(to + VW, own1 + part * sum1);
      sum0 += own0, sum1 += own1;
    }
  }
}

/* One size's scores of a tile turned into gradients; none where the size has no weight. */
INLINE void differentiate_size(const entropy_run *r, int k, vf acc[MR][NV], const float *shift,
                               const float *limits, float *gradients, vf *products) {
  float *to = gradients + k * (long)BLOCK * LINE;
  if (r->factors[k] > 0)
    products[k] += differentiate_tile(acc, r->c.scales[k], shift, limits + 2 * k, r->c.sizes, to);
  else
    for (int i = 0; i < MR; i++) memset(to + i * LINE, 0, NR * sizeof(float));
}

/* Gradients by all scores of a block of labels and a chunk of items, as suffix sums,
 * [size][label][LINE]. */
static void differentiate_scores(const entropy_run *r, const entropy_room *room, long block,
                                 long first, long count) {
  const entropy_call *c = &r->c;
  long from = block * BLOCK, rows = c->labels - from < BLOCK ? c->labels - from : BLOCK;
  float scores[TILES][MR * NR];
  vf products[r->top];
  memset(products, 0, sizeof(products));
  for (long j = 0; j * NR < count; j++) {
    const float *columns = room->by_item + j * NR * c->width, *shift = r->shift + first + j * NR;
    for (int p = 0, q; p < r->again; p = q) {
      for (q = p; q < r->again && r->pieces[q].span == r->pieces[p].span;) q++;
      for (long i = 0; i * MR < rows; i++) {
        const float *row = r->rows + (from + i * MR) * c->width;
        const float *limits = r->limits + 2 * (from + i * MR) * c->sizes;
        float *gradients = room->gradients + i * MR * LINE + j * NR;
        ZERO_TILE(acc);
        if (p > 0) load_tile(acc, scores[i]);
        for (int at = p; at < q; at++) {
          const entropy_piece *piece = &r->pieces[at];
          tile_product(acc, piece->end - piece->begin, row + piece->begin * MR, 1, MR,
                       columns + piece->begin * NR);
          if (piece->size >= 0)
            differentiate_size(r, piece->size, acc, shift, limits, gradients, products);
        }
        if (q < r->again) {
          store_tile(scores[i], acc);
          continue;
        }
        const float *kept = kept_tile(r, from + i * MR, first + j * NR);
        for (int k = r->kept_from; k < r->top; k++, kept += MR * NR) {
          load_tile(acc, kept);
          differentiate_size(r, k, acc, shift, limits, gradients, products);
        }
        add_suffixes(gradients, r->top, c->shares);
      }
    }
  }
  for (int k = 0; k < r->top; k++) room->d_scales[k] += sum_of(products[k]);
}

/* C[m, n] += A B of one tile: B one panel, `n` of its columns; A as in tile_product. */
INLINE void add_product(float *to, long ldc, int m, int n, long depth, const float *a, long rows,
                        long columns, const float *b) {
  if (n <= VW) {
    vf acc[MR];
    UNROLL
    for (int i = 0; i < MR; i++) acc[i] = (vf){0};
    half_tile_product(acc, depth, a, rows, columns, b);
    if (n == VW) {
      for (int i = 0; i < m; i++) store(to + i * ldc, load(to + i * ldc) + acc[i]);
    } else {
      for (int i = 0; i < m; i++) store_part(to + i * ldc, load_part(to + i * ldc, n) + acc[i], n);
    }
    return;
  }
  ZERO_TILE(acc);
  tile_product(acc, depth, a, rows, columns, b);
  put_tile(acc, to, ldc, m, n, 0);
}

/* Second pass over one block of labels and one chunk of items. */
static void differentiate_block(const entropy_run *r, const entropy_room *room, long block,
                                long first, long count) {
  const entropy_call *c = &r->c;
  long from = block * BLOCK, rows = c->labels - from < BLOCK ? c->labels - from : BLOCK;
  differentiate_scores(r, room, block, first, count);
  const float *states = r->columns + block * BLOCK * r->wide, *items = room->by_width;
  for (int k = 0; k < r->top; k++) {
    const float *g = room->gradients + (long)k * BLOCK * LINE;
    for (long d = k ? c->ends[k - 1] : 0; d < c->ends[k];
         d += NR, states += BLOCK * NR, items += CHUNK * NR) {
      int n = c->ends[k] - d < NR ? (int)(c->ends[k] - d) : NR;
      for (long i = 0; i < rows; i += MR)
        add_product(room->d_states + (from + i) * c->width + d, c->width, MR, n, count,
                    g + i * LINE, LINE, 1, items);
      for (long i = 0; i < count; i += MR) {
        int m = count - i < MR ? (int)(count - i) : MR;
        add_product(c->d_table + (first + i) * c->width + d, c->width, m, n, rows, g + i, 1, LINE,
                    states);
      }
    }
  }
}

/* What the target's own score weighs in the gradient by segment k. */
static float segment_factor(const entropy_run *r, int k) {
  float later = 0;
  for (int i = r->c.sizes - 1; i > k; i--) later += r->factors[i];
  return r->factors[k] + r->c.shares[k] * later;
}

/* The gradient by this thread's share of states: the threads' parts in order, less the targets'
 * own. */
static void finish_states(const entropy_run *r, int thread, int threads) {
  const entropy_call *c = &r->c;
  long from, to;
  pool_share(c->labels, thread, threads, &from, &to);
  for (long l = from; l < to; l++) {
    float *d = c->d_states + l * c->width;
    for (int t = 0; t < threads; t++) {
      const float *part = room_of(r, t).d_states + l * c->width;
      for (long i = 0; i < c->width; i++) d[i] = t == 0 ? part[i] : d[i] + part[i];
    }
    const float *e = c->table + c->targets[l] * c->width;
    for (int k = 0; k < c->sizes; k++) {
      float factor = segment_factor(r, k);
      for (long i = k ? c->ends[k - 1] : 0; i < c->ends[k]; i++) d[i] -= factor * e[i];
    }
  }
}

/* The targets' own part of the table's gradient, in the order of labels: items first .. last - 1.
 */
static void subtract_targets(const entropy_run *r, long first, long last) {
  const entropy_call *c = &r->c;
  for (long l = 0; l < c->labels; l++) {
    if (c->targets[l] < first || c->targets[l] >= last) continue;
    float *d = c->d_table + c->targets[l] * c->width;
    const float *z = c->states + l * c->width;
    for (int k = 0; k < c->sizes; k++) {
      float factor = segment_factor(r, k);
      for (long i = k ? c->ends[k - 1] : 0; i < c->ends[k]; i++) d[i] -= factor * z[i];
    }
  }
}

static void entropy_work(void *arg, int thread, int threads) {
  const entropy_run *r = arg;
  const entropy_call *c = &r->c;
  entropy_room room = room_of(r, thread);
  long rows = r->panels * MR, from, to;
  memset(room.loss, 0, (size_t)c->sizes * sizeof(double));
  memset(room.d_scales, 0, (size_t)c->sizes * sizeof(double));
  memset(room.sums, 0, (size_t)(rows * c->sizes) * sizeof(float));
  memset(room.d_states, 0, (size_t)(rows * c->width) * sizeof(float));
  for (long i = 0; i < rows * c->sizes; i++) room.reference[i] = NOWHERE;
  prepare_labels(r, thread, threads);
  pool_barrier();
  pool_share(r->chunks, thread, threads, &from, &to);
  for (long chunk = from; chunk < to; chunk++) {
    long first = chunk * CHUNK, count = c->items - first < CHUNK ? c->items - first : CHUNK;
    pack_chunk_by_item(r, room.by_item, first, count);
    for (long block = 0; block < r->blocks; block++) sum_block(r, &room, block, first, count);
  }
  pool_barrier();
  finish_sums(r, &room, thread, threads);
  pool_barrier();
  for (long chunk = from; chunk < to; chunk++) {
    long first = chunk * CHUNK, count = c->items - first < CHUNK ? c->items - first : CHUNK;
    memset(c->d_table + first * c->width, 0, (size_t)(count * c->width) * sizeof(float));
    pack_chunk_by_item(r, room.by_item, first, count);
    pack_chunk_by_width(r, room.by_width, first, count);
    for (long block = 0; block < r->blocks; block++)
      differentiate_block(r, &room, block, first, count);
  }
  subtract_targets(r, from * CHUNK, to * CHUNK < c->items ? to * CHUNK : c->items);
  pool_barrier();
  finish_states(r, thread, threads);
}

/* Loss and gradients; at least one label, one item and one size. */
static void cross_entropy(entropy_call c, float *room) {
  int threads = pool_threads();
  entropy_run r = {.c = c, .wide = entropy_wide(c.ends, c.sizes)};
  r.panels = (c.labels + MR - 1) / MR;
  r.blocks = (c.labels + BLOCK - 1) / BLOCK;
  r.chunks = (c.items + CHUNK - 1) / CHUNK;
  float *p = room;
  r.own = (double *)p, p += round_up(2 * c.labels * c.sizes);
  r.rows = p, p += round_up(r.panels * MR * c.width);
  r.columns = p, p += round_up(r.blocks * BLOCK * r.wide);
  r.shift = p, p += r.chunks * CHUNK;
  r.limits = p, p += round_up(2 * r.panels * MR * c.sizes);
  r.factors = p, p += round_up(c.sizes);
  r.kept = p, p += kept_floats(c.labels, c.items, c.ends, c.sizes);
  r.kept_from = first_kept(c.labels, c.items, c.ends, c.sizes);
  r.thread_room = p;
  r.thread_stride = entropy_thread_floats(r.panels, c.width, r.wide, c.sizes);
  for (int k = 0; k < c.sizes; k++) {
    r.factors[k] = c.weights[k] * c.scales[k] / (float)c.labels;
    if (c.weights[k] > 0) r.top = k + 1;
  }
  cut_pieces(&r);
  pool_run(entropy_work, &r);
  for (int k = 0; k < c.sizes; k++) {
    c.loss[k] = c.d_scales[k] = 0;
    for (int t = 0; t < threads; t++) {
      entropy_room part = room_of(&r, t);
      c.loss[k] += part.loss[k];
      c.d_scales[k] += part.d_scales[k];
    }
  }
}
