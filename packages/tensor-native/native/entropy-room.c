/*
 * How the fused cross-entropy lays out its work and memory: blocks of labels, chunks of items,
 * pieces of segments, each thread's room, and the packing of states and items. cross-entropy.c
 * computes with it. Part of target.c.
 */

#define CHUNK 128
#define LINE                                                                                     \
  (CHUNK + 16) /* distance of rows of a block: an odd number of cache lines, so that rows spread \
                  over them */
#define BLOCK (112 / MR * MR)
#define TILES (BLOCK / MR) /* tiles of a block and NR items */
#define SPAN                                                                                     \
  256 /* coordinates that NR items have in the first cache while a block's tiles go through them \
       */
#define KEPT_WIDTH \
  256 /* segments this wide cost more to multiply again than their scores to keep */
#define MOST_KEPT (64L << 20) /* scores kept between the passes, in floats */
#define MOST_PIECES (MOST_SIZES + 64)
#define NOWHERE (-1e30f) /* y of columns that are no item */
#define HEADROOM \
  40.0f /* how far y may rise above its row's reference before sums are scaled down */

/* Coordinates begin .. end of one segment; `size` = the size whose scores are complete after them,
 * or -1. */
typedef struct {
  long begin, end;
  int size, span;
} entropy_piece;

typedef struct {
  entropy_call c;
  entropy_piece pieces[MOST_PIECES];
  int count, again; /* pieces; those whose products the second pass computes again */
  int kept_from;    /* the scores of this and all larger sizes are kept */
  int top;          /* sizes up to the last with a weight */
  long panels;      /* of MR labels */
  long blocks, chunks;
  long wide;      /* width of a row of column panels: every segment rounded up to NR */
  float *rows;    /* states as [panel][width][MR] */
  float *columns; /* states as [block][segment panel][BLOCK][NR] */
  float *shift;   /* [chunks * CHUNK]: bias, or NOWHERE beyond the items */
  float *limits;  /* [panels * MR][sizes][2]: log-sum-exp - log(factor), and what float32 leaves of
                     it */
  double *own;    /* [labels][sizes] */
  float *kept;    /* [chunk][panel][CHUNK / NR][sizes - kept_from] tiles of scores */
  float *factors; /* [sizes]: d loss / d score = factor * (probability - target) */
  float *thread_room;
  long thread_stride;
} entropy_run;

/* One thread's room. */
typedef struct {
  float *by_item;          /* [item panel][width][NR] of the chunk's table */
  float *by_width;         /* [segment panel][CHUNK][NR] of the chunk's table */
  float *gradients;        /* [sizes][BLOCK][LINE] */
  float *reference, *sums; /* [panels * MR][sizes] */
  float *d_states;         /* [panels * MR][width] */
  double *loss, *d_scales;
} entropy_room;

static long entropy_wide(const int32_t *ends, int sizes) {
  long wide = 0;
  for (int k = 0; k < sizes; k++) wide += (ends[k] - (k ? ends[k - 1] : 0) + NR - 1) / NR * NR;
  return wide;
}

static entropy_room room_of(const entropy_run *r, int thread) {
  const entropy_call *c = &r->c;
  long rows = r->panels * MR;
  entropy_room room;
  float *p = r->thread_room + thread * r->thread_stride;
  room.loss = (double *)p, p += 2 * 16 * ((c->sizes + 15) / 16);
  room.d_scales = (double *)p, p += 2 * 16 * ((c->sizes + 15) / 16);
  room.by_item = p, p += CHUNK * c->width;
  room.by_width = p, p += CHUNK * r->wide;
  room.gradients = p, p += (long)c->sizes * BLOCK * LINE;
  room.reference = p, p += rows * c->sizes;
  room.sums = p, p += rows * c->sizes;
  room.d_states = p;
  return room;
}

static long entropy_thread_floats(long panels, long width, long wide, int sizes) {
  long rows = panels * MR;
  long floats =
      2 * 2 * 16 * ((sizes + 15) / 16) + CHUNK * (width + wide) + (long)sizes * BLOCK * LINE;
  return (floats + 2 * rows * sizes + rows * width + 15) / 16 * 16;
}

static long round_up(long count) { return (count + 15) / 16 * 16; }

static long entropy_shared_floats(long labels, long items, long width, long wide, int sizes) {
  long panels = (labels + MR - 1) / MR, blocks = (labels + BLOCK - 1) / BLOCK;
  long chunks = (items + CHUNK - 1) / CHUNK;
  return round_up(panels * MR * width) + round_up(blocks * BLOCK * wide) + chunks * CHUNK +
         round_up(2 * panels * MR * sizes) + round_up(2 * labels * sizes) + round_up(sizes);
}

/*
 * The first size whose scores are kept: multiplying a wide segment again takes longer than writing
 * its scores to memory and reading them back. Never the smallest size.
 */
static int first_kept(long labels, long items, const int32_t *ends, int sizes) {
  long panels = (labels + MR - 1) / MR, chunks = (items + CHUNK - 1) / CHUNK;
  long scores = panels * MR * chunks * CHUNK, kept = 0;
  int k = sizes;
  while (k > 1 && ends[k - 1] - ends[k - 2] >= KEPT_WIDTH && (kept += scores) <= MOST_KEPT) k--;
  return k;
}

static long kept_floats(long labels, long items, const int32_t *ends, int sizes) {
  long panels = (labels + MR - 1) / MR, chunks = (items + CHUNK - 1) / CHUNK;
  return panels * MR * chunks * CHUNK * (sizes - first_kept(labels, items, ends, sizes));
}

/* Room that `cross_entropy` needs, in floats. */
static long cross_entropy_room(long labels, long items, const int32_t *ends, int sizes,
                               int threads) {
  long width = ends[sizes - 1], wide = entropy_wide(ends, sizes), panels = (labels + MR - 1) / MR;
  return entropy_shared_floats(labels, items, width, wide, sizes) +
         kept_floats(labels, items, ends, sizes) +
         threads * entropy_thread_floats(panels, width, wide, sizes);
}

/* Packs the states for both products, the shifts, and the targets' own scores: this thread's share.
 */
static void prepare_labels(const entropy_run *r, int thread, int threads) {
  const entropy_call *c = &r->c;
  long from, to;
  pool_share(r->panels, thread, threads, &from, &to);
  for (long p = from; p < to; p++) {
    int count = c->labels - p * MR < MR ? (int)(c->labels - p * MR) : MR;
    pack_panel(r->rows + p * MR * c->width, c->states + p * MR * c->width, c->width, 1, count, MR,
               c->width);
  }
  pool_share(r->blocks, thread, threads, &from, &to);
  for (long b = from; b < to; b++) {
    long count = c->labels - b * BLOCK < BLOCK ? c->labels - b * BLOCK : BLOCK;
    const float *states = c->states + b * BLOCK * c->width;
    float *panel = r->columns + b * BLOCK * r->wide;
    for (int k = 0; k < c->sizes; k++)
      for (long d = k ? c->ends[k - 1] : 0; d < c->ends[k]; d += NR, panel += BLOCK * NR) {
        int columns = c->ends[k] - d < NR ? (int)(c->ends[k] - d) : NR;
        pack_panel(panel, states + d, 1, c->width, columns, NR, count);
        memset(panel + count * NR, 0, (size_t)((BLOCK - count) * NR) * sizeof(float));
      }
  }
  pool_share(r->chunks * CHUNK, thread, threads, &from, &to);
  for (long i = from; i < to; i++) {
    r->shift[i] = i >= c->items ? NOWHERE : c->bias ? c->bias[i] : 0.0f;
  }
  pool_share(c->labels, thread, threads, &from, &to);
  for (long l = from; l < to; l++) {
    const float *z = c->states + l * c->width, *e = c->table + c->targets[l] * c->width;
    double sum = 0;
    for (int k = 0; k < c->sizes; k++) {
      for (long d = k ? c->ends[k - 1] : 0; d < c->ends[k]; d++) sum += (double)z[d] * e[d];
      r->own[l * c->sizes + k] = sum * c->scales[k];
    }
  }
}

static void pack_chunk_by_item(const entropy_run *r, float *to, long first, long count) {
  long width = r->c.width;
  for (long p = 0; p < (count + NR - 1) / NR; p++) {
    int columns = count - p * NR < NR ? (int)(count - p * NR) : NR;
    pack_panel(to + p * NR * width, r->c.table + (first + p * NR) * width, width, 1, columns, NR,
               width);
  }
}

/* [segment panel][item][NR], `count` items a panel; items beyond them are never read. */
static void pack_chunk_by_width(const entropy_run *r, float *to, long first, long count) {
  const entropy_call *c = &r->c;
  for (int k = 0; k < r->top; k++)
    for (long d = k ? c->ends[k - 1] : 0; d < c->ends[k]; d += NR, to += CHUNK * NR) {
      int columns = c->ends[k] - d < NR ? (int)(c->ends[k] - d) : NR;
      pack_panel(to, c->table + first * c->width + d, 1, c->width, columns, NR, count);
    }
}

/* Cuts the segments into pieces and groups them into spans of at most SPAN coordinates. */
static void cut_pieces(entropy_run *r) {
  const entropy_call *c = &r->c;
  long span_begin = 0;
  int span = 0;
  r->count = r->again = 0;
  for (int k = 0; k < c->sizes; k++) {
    for (long d = k ? c->ends[k - 1] : 0; d < c->ends[k];) {
      long end = d + SPAN < c->ends[k] ? d + SPAN : c->ends[k];
      if (end - span_begin > SPAN) span_begin = d, span++;
      r->pieces[r->count++] = (entropy_piece){d, end, end == c->ends[k] ? k : -1, span};
      d = end;
    }
    if (k < r->top && k < r->kept_from) r->again = r->count;
  }
}

INLINE void load_tile(vf acc[MR][NV], const float *from) {
  UNROLL
  for (int i = 0; i < MR; i++)
    acc[i][0] = load(from + i * NR), acc[i][1] = load(from + i * NR + VW);
}
INLINE void store_tile(float *to, vf acc[MR][NV]) {
  UNROLL
  for (int i = 0; i < MR; i++) store(to + i * NR, acc[i][0]), store(to + i * NR + VW, acc[i][1]);
}

/* Where the scores of size `kept_from` of one tile are kept; larger sizes follow it. */
INLINE float *kept_tile(const entropy_run *r, long row, long item) {
  long chunk = item / CHUNK, j = item % CHUNK / NR;
  long tile = (chunk * r->panels + row / MR) * (CHUNK / NR) + j;
  return r->kept + tile * (r->c.sizes - r->kept_from) * MR * NR;
}
