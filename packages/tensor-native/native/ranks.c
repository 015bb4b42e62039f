/*
 * Ranks of target items at every nested size: how many scores are not below the target's, the
 * target's own included, so that a tie puts it last and a score that is no number counts as larger.
 * Part of target.c: compiled once per target.
 *
 * A score is the same chain of multiply-adds over the coordinates wherever it is computed, in a
 * tile or alone, so that equal scores are equal to the last bit. Threads share the cases.
 */

#define RANK_ITEMS 256

/* Scores of one query and one item by size, as a tile computes them. */
static void scores_of(const ranks_call *c, const float *query, const float *item, float *scores) {
  vf sum = {0};
  long d = 0;
  for (int k = 0; k < c->sizes; k++) {
    for (; d < c->ends[k]; d++) sum = multiply_add(splat(query[d]), splat(item[d]), sum);
    scores[k] = sum[0];
  }
}

typedef struct {
  const ranks_call *call;
  float *room;
  long stride;
} ranks_pass;

static long ranks_room(long width, int sizes, int threads) {
  return threads * (MR * width + RANK_ITEMS * width + MR * (long)sizes + 64);
}

/* Counts the items first .. first + count - 1 whose scores are below the targets' of up to MR
 * cases. */
static void count_below(const ranks_call *c, const float *rows, const float *columns,
                        const float *limits, int cases, long count, vi *below) {
  for (long j = 0; j * NR < count; j++) {
    vf keep[NV];
    for (int v = 0; v < NV; v++)
      for (int z = 0; z < VW; z++) keep[v][z] = j * NR + v * VW + z < count ? 1.0f : 0.0f;
    ZERO_TILE(acc);
    for (int k = 0; k < c->sizes; k++) {
      long begin = k ? c->ends[k - 1] : 0;
      tile_product(acc, c->ends[k] - begin, rows + begin * MR, 1, MR,
                   columns + j * NR * c->width + begin * NR);
      for (int i = 0; i < cases; i++) {
        vf limit = splat(limits[i * c->sizes + k]);
        for (int v = 0; v < NV; v++)
          below[i * c->sizes + k] -= (acc[i][v] < limit) & (keep[v] > 0.0f);
      }
    }
  }
}

static void ranks_work(void *arg, int thread, int threads) {
  const ranks_pass *pass = arg;
  const ranks_call *c = pass->call;
  long from, to, panels = (c->cases + MR - 1) / MR;
  pool_share(panels, thread, threads, &from, &to);
  float *rows = pass->room + thread * pass->stride, *columns = rows + MR * c->width;
  float *limits = columns + RANK_ITEMS * c->width;
  float own[MOST_SIZES];
  for (long p = from; p < to; p++) {
    long first = p * MR;
    int cases = c->cases - first < MR ? (int)(c->cases - first) : MR;
    vi below[MR * c->sizes];
    memset(below, 0, sizeof(below));
    pack_panel(rows, c->queries + first * c->width, c->width, 1, cases, MR, c->width);
    for (int i = 0; i < cases; i++)
      scores_of(c, c->queries + (first + i) * c->width, c->table + c->targets[first + i] * c->width,
                limits + i * c->sizes);
    for (long item = 0; item < c->items; item += RANK_ITEMS) {
      long count = c->items - item < RANK_ITEMS ? c->items - item : RANK_ITEMS;
      for (long j = 0; j * NR < count; j++) {
        int many = count - j * NR < NR ? (int)(count - j * NR) : NR;
        pack_panel(columns + j * NR * c->width, c->table + (item + j * NR) * c->width, c->width, 1,
                   many, NR, c->width);
      }
      count_below(c, rows, columns, limits, cases, count, below);
    }
    for (int i = 0; i < cases; i++) {
      long at = first + i;
      for (int k = 0; k < c->sizes; k++) {
        long less = 0;
        for (int z = 0; z < VW; z++) less += below[i * c->sizes + k][z];
        c->all[k * c->cases + at] = c->masked[k * c->cases + at] = (int32_t)(c->items - less);
      }
      for (long s = c->seen_offsets[at]; s < c->seen_offsets[at + 1]; s++) {
        scores_of(c, c->queries + at * c->width, c->table + c->seen[s] * c->width, own);
        for (int k = 0; k < c->sizes; k++)
          if (!(own[k] < limits[i * c->sizes + k])) c->masked[k * c->cases + at]--;
      }
    }
  }
}

static void count_ranks(ranks_call c, float *room) {
  ranks_pass pass = {&c, room, ranks_room(c.width, c.sizes, 1)};
  pool_run(ranks_work, &pass);
}
