/*
 * Every operation for one target: compiled once for each, with the target's instruction set
 * switched on and NESTREC_TARGET naming it (see build.mjs).
 */
#include <math.h>
#include <stddef.h>

#include "kernels.h"
#include "pool.h"
#include "vectors.h"

#include "gemm.c"
#include "rowwise.c"
#include "recurrence.c"
#include "nested-linear.c"
#include "tables.c"
#include "entropy-room.c"
#include "cross-entropy.c"
#include "optimiser.c"
#include "ranks.c"

#define JOIN(a, b) a##b
#define TABLE(target) JOIN(kernels_, target)
#define TEXT(x) #x
#define NAME(x) TEXT(x)

const kernels TABLE(NESTREC_TARGET) = {
    .name = NAME(NESTREC_TARGET),
    .gemm_room = gemm_room,
    .gemm = gemm,
    .segment_norm = segment_norm,
    .segment_norm_backward = segment_norm_backward,
    .add_masked = add_masked,
    .multiply_mask = multiply_mask,
    .gated_unit = gated_unit,
    .gated_unit_backward = gated_unit_backward,
    .dropout_mask = dropout_mask,
    .scale_rows = scale_rows,
    .row_dots = row_dots,
    .ranks_room = ranks_room,
    .count_ranks = count_ranks,
    .diagonal_scan = diagonal_scan,
    .diagonal_scan_backward = diagonal_scan_backward,
    .nested_linear_room = nested_linear_room,
    .nested_linear = nested_linear,
    .nested_linear_backward = nested_linear_backward,
    .gather_rows = gather_rows,
    .add_rows = add_rows,
    .item_table_room = item_table_room,
    .item_table = item_table,
    .item_table_backward = item_table_backward,
    .cross_entropy_room = cross_entropy_room,
    .cross_entropy = cross_entropy,
    .adamw = adamw,
    .sum_squares = sum_squares,
};
