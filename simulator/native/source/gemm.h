/* A GEMM nest, read from its instruction, and the plan that the blocked form makes of its shape. */
#ifndef GEMM_H
#define GEMM_H

#include "machine.h"

/* All of a nest but where it begins: nests of one shape share a plan. */
struct gemm_shape {
    uint32_t accumulate, overwrite_mask;
    uint32_t bound[TW_GEMM_DIMS];
    int32_t act_stride[TW_GEMM_DIMS], wgt_stride[TW_GEMM_DIMS], acc_stride[TW_GEMM_DIMS];
};

struct gemm_nest {
    struct gemm_shape shape;
    uint32_t act, wgt, acc; /* addresses of its first point */
};

/* Lowest and highest address of a nest, its first point being at 0. */
struct extent {
    int64_t low, high;
};

/* Points of some of a nest's loops, by what they add: operands, weights, int32 of ACC. */
struct points {
    uint32_t count;
    struct point {
        int32_t act, wgt, acc;
    } *at;
};

/* A shape whose nests are blocked matrix products. In each point of `mixed`, every point of `rows` meets every point of
 * `columns` in an accumulator of its own, over all points of `reduction`. */
struct gemm_plan {
    struct gemm_shape shape;
    int blocked;      /* 0: this shape is none; nothing below is filled in */
    int overwrites;   /* every accumulator begins anew; else those that do are `fresh` */
    struct extent act, wgt, acc;
    struct points mixed, rows, columns, reduction, fresh;
};

/* The plan for the nest's shape, which stays until another one needs its place; NULL where there is no memory for it. */
const struct gemm_plan *gemm_plan(struct machine *m, const struct gemm_nest *nest);
void gemm_plans_forget(struct machine *m);

/* Runs the nest as its plan says and returns 1, or returns 0 and does nothing where it is no blocked matrix product. */
int run_blocked_gemm(struct machine *m, const struct gemm_nest *nest);

#endif
