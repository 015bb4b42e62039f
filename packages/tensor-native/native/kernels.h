/*
 * The operations that every target provides, with what each is called with. All matrices are
 * row-major float32; `ends` holds the nested sizes, ascending, the last is the width. Pointers may
 * not overlap unless said.
 */
#ifndef NESTREC_KERNELS_H
#define NESTREC_KERNELS_H

#include <stdint.h>

#define MOST_SIZES 64

/* C = A B, or C += A B: A [m, k], B [k, n] with any strides, rows of C ldc apart. */
typedef struct {
  long m, n, k;
  const float *a, *b;
  long a_row, a_column, b_row, b_column;
  float *c;
  long ldc;
  int accumulate;
  float *packed_a, *packed_b; /* room, set by the operation */
} gemm_call;

typedef struct {
  long rows, width;
  int sizes;
  const int32_t *ends;
  const float *x, *gain, *bias, *normalised, *inverse, *upstream;
  float *out, *out_normalised, *out_inverse; /* inverse: [rows, sizes], 1 / deviation */
  float *d_gain, *d_bias;
  float *room; /* 2 x width for each thread */
} norm_call;

/* Element-wise work on `count` numbers; which pointers are used depends on the operation. */
typedef struct {
  long count;
  const float *a, *b, *mask; /* mask may be NULL: keep all */
  const float *upstream;
  float *out, *out2;
} elements_call;

typedef struct {
  long rows, width;
  int sizes;
  const int32_t *ends;
  const int32_t *thresholds; /* [sizes], of 65,536 */
  const float *kept;         /* [sizes] */
  uint32_t seed;
  const int32_t *picked; /* [rows]: which row of the whole mask; NULL: row i */
  float *out;            /* [rows, width] */
} dropout_call;

typedef struct {
  long rows, width;
  const float *x, *y, *factors; /* [rows, width] twice, [rows] */
  float *out;
} scaling_call;

typedef struct {
  long cases, items, width;
  int sizes;
  const int32_t *ends;
  const float *queries, *table; /* [cases, width], [items, width] */
  const int32_t *targets;       /* [cases] */
  const int32_t *seen_offsets,
      *seen; /* items of a case's history without its target, ragged: [cases + 1] */
  int32_t *all,
      *masked; /* outputs, [sizes, cases]: ranks among all items, and without those seen */
} ranks_call;

typedef struct {
  long rows, width, steps;
  const int32_t *active, *start;  /* [steps] */
  const uint8_t *silent;          /* [rows]: 1 where v counts as 0 */
  const double *real, *imaginary; /* lambda, [width] */
  const float *v, *h;
  float *out;                   /* h, or the gradient by v (in: the one by h) */
  double *d_real, *d_imaginary; /* [width] */
} scan_call;

typedef struct {
  long rows, width;
  int sizes;
  const int32_t *ends;
  int out_parts, in_parts;
  const float *x, *weight, *bias, *upstream; /* bias may be NULL */
  float *y, *d_x, *d_weight, *d_bias;
} linear_call;

typedef struct {
  long count, width;
  const int32_t *indices;
  const float *from;
  float *to;
} rows_call;

typedef struct {
  long items, width, features;
  int sizes;
  const int32_t *ends;
  const float *feature_rows;     /* [items + 1, features], row 0 zeros; unused where features = 0 */
  const float *projector, *bias; /* [width, features], [width] */
  const float *residual;         /* [items, width] or NULL */
  const float *mask;             /* [items, sizes] or NULL: factors of the residual */
  float *table;                  /* [items + 1, width]; backward: the gradient by it */
  float *d_projector, *d_bias, *d_residual;
} table_call;

typedef struct {
  long labels, items, width;
  int sizes;
  const int32_t *ends;
  const float *states, *table;   /* [labels, width], [items, width] */
  const int32_t *targets;        /* [labels] */
  const float *weights, *scales; /* [sizes] */
  const float *bias;             /* [items] or NULL: added to every score of an item */
  const float *shares;           /* [sizes]: of larger sizes' gradients that reaches segment k */
  float *d_states, *d_table;     /* outputs, like states and table */
  double *loss,
      *d_scales; /* outputs, [sizes]: sum over labels; by log scale, weighted and averaged */
} entropy_call;

typedef struct {
  long rows, width;
  const int32_t
      *indices; /* rows of the parameter that gradient rows belong to; NULL: row i to row i */
  float *parameter, *m, *v;
  const float *gradient; /* [rows, width] */
  float scale, shrink;   /* scale of the gradient, for clipping; 1 - lr * decay */
  float beta1, beta2, eps;
  float rate, deviation; /* lr / (1 - beta1^step); 1 / sqrt(1 - beta2^step) */
  const float *factors;  /* on the rate, one for each column, or each row of the parameter; NULL: 1 */
  int by_row;
} adamw_call;

/* `room` is scratch memory of at least as many floats as the operation's `_room` says. */
typedef struct {
  const char *name;
  long (*gemm_room)(long n, int threads);
  void (*gemm)(gemm_call, float *room);
  void (*segment_norm)(norm_call);
  void (*segment_norm_backward)(norm_call);
  void (*add_masked)(elements_call);
  void (*multiply_mask)(elements_call);
  void (*gated_unit)(elements_call);
  void (*gated_unit_backward)(elements_call);
  void (*dropout_mask)(dropout_call);
  void (*scale_rows)(scaling_call);
  void (*row_dots)(scaling_call);
  long (*ranks_room)(long width, int sizes, int threads);
  void (*count_ranks)(ranks_call, float *room);
  void (*diagonal_scan)(scan_call);
  void (*diagonal_scan_backward)(scan_call);
  long (*nested_linear_room)(long width, int parts, int threads);
  void (*nested_linear)(linear_call, float *room);
  void (*nested_linear_backward)(linear_call, float *room);
  void (*gather_rows)(rows_call);
  void (*add_rows)(rows_call);
  long (*item_table_room)(long width, long features, int threads);
  void (*item_table)(table_call, float *room);
  void (*item_table_backward)(table_call, float *room);
  long (*cross_entropy_room)(long labels, long items, const int32_t *ends, int sizes, int threads);
  void (*cross_entropy)(entropy_call, float *room);
  void (*adamw)(adamw_call);
  double (*sum_squares)(const float *x, long count, double *room);
} kernels;

#define SQUARES_PIECE 4096 /* numbers for each double of sum_squares' room */

#if defined(__x86_64__)
extern const kernels kernels_avx512, kernels_avx2;
#endif
extern const kernels kernels_base;

#endif
