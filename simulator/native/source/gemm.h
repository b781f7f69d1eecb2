/* A GEMM nest, read from its instruction: shared by the blocked form and the general one. */
#ifndef GEMM_H
#define GEMM_H

#include "machine.h"

struct gemm_nest {
    int accumulate;
    uint32_t overwrite_mask;
    uint32_t bound[TW_GEMM_DIMS];
    uint32_t act_base, wgt_base, acc_base;
    int32_t act_stride[TW_GEMM_DIMS], wgt_stride[TW_GEMM_DIMS], acc_stride[TW_GEMM_DIMS];
};

/* Runs the nest as one blocked matrix product and returns 1, or returns 0 and does nothing where its shape
 * does not allow that. */
int run_blocked_gemm(struct machine *m, const struct gemm_nest *nest);

#endif
