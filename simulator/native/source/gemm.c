/* GEMM. The general form takes the points one by one, whatever they are. */
#include "gemm.h"

#include "walk.h"
#include "forms.h"

#define ACT_MASK ((uint32_t)(ACT_DEPTH - 1) & ~(uint32_t)(GEMM_GRANULES - 1))

static void run_point(struct machine *m, uint32_t act, uint32_t wgt, uint32_t acc, int overwrite)
{
    const weight_t *w = m->wgt[wgt];
    for (int row = 0; row < ROWS; row++) {
        const operand_t *x = m->act[row] + (size_t)act * GRANULE;
        int32_t *cell = m->acc[row][acc];
        for (int v = 0; v < CELL_VECTORS; v++) {
            lanes_t sum = overwrite ? lanes_set(0) : lanes_load(cell + v * LANES);
            for (int k = 0; k < BLOCK_IN; k += GROUP) {
                word_t word;
                memcpy(&word, x + k, sizeof word);
                sum = lanes_dot(sum, word, weights_load(w + packed_position(v * LANES, k)));
            }
#if OPERAND_BIAS
            sum = lanes_subtract(sum, lanes_load(m->excess[wgt] + v * LANES));
#endif
            lanes_store(cell + v * LANES, sum);
        }
    }
}

static void run_points(struct machine *m, const struct gemm_nest *nest)
{
    const struct gemm_shape *shape = &nest->shape;
    uint32_t index[TW_GEMM_DIMS] = {0};
    int changed;
    do {
        int overwrite = !shape->accumulate;
        for (int d = 0; d < TW_GEMM_DIMS; d++)
            overwrite &= !(shape->overwrite_mask >> d & 1 && index[d]);
        run_point(m, address_of(nest->act, shape->act_stride, index, TW_GEMM_DIMS) & ACT_MASK,
                  address_of(nest->wgt, shape->wgt_stride, index, TW_GEMM_DIMS) & (WGT_DEPTH - 1),
                  address_of(nest->acc, shape->acc_stride, index, TW_GEMM_DIMS) & (ACC_DEPTH - 1), overwrite);
    } while (next_point(index, shape->bound, TW_GEMM_DIMS, &changed));
}

void run_gemm(struct machine *m, const uint8_t *raw)
{
    struct gemm_nest nest = {
        .shape = {.accumulate = tw_gemm_accumulate(raw), .overwrite_mask = tw_gemm_overwrite_mask(raw),
                  .bound = TW_FIELDS6(raw, gemm_bound), .act_stride = TW_FIELDS6(raw, gemm_act_stride),
                  .wgt_stride = TW_FIELDS6(raw, gemm_wgt_stride), .acc_stride = TW_FIELDS6(raw, gemm_acc_stride)},
        .act = tw_gemm_act_base(raw), .wgt = tw_gemm_wgt_base(raw), .acc = tw_gemm_acc_base(raw),
    };
    if (!run_blocked_gemm(m, &nest))
        run_points(m, &nest);
}
