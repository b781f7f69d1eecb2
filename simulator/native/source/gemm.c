/* GEMM. The general form takes the points one by one, whatever they are. */
#include "gemm.h"

#include "decode.h"
#include "lanes.h"

#define ACT_MASK ((uint32_t)(ACT_DEPTH - 1) & ~(uint32_t)(GEMM_GRANULES - 1))

static void run_point(struct machine *m, uint32_t act, uint32_t wgt, uint32_t acc, int overwrite)
{
    const int8_t *w = m->wgt_packed[wgt];
    for (int row = 0; row < ROWS; row++) {
        const uint8_t *x = m->act_biased[row] + (size_t)act * GRANULE;
        int32_t *cell = m->acc[row][acc];
        for (int v = 0; v < CELL_VECTORS; v++) {
            lanes_t sum = {0};
            for (int k = 0; k < BLOCK_IN / 4; k++) {
                uint32_t four;
                memcpy(&four, x + 4 * k, 4);
                sum = lanes_dot(sum, four, lanes_load(w + ((size_t)k * CELL_VECTORS + v) * LANES * 4));
            }
            sum = lanes_subtract(sum, lanes_load(m->wgt_excess[wgt] + v * LANES));
            if (!overwrite)
                sum = lanes_add(sum, lanes_load(cell + v * LANES));
            lanes_store(cell + v * LANES, sum);
        }
    }
}

static void run_points(struct machine *m, const struct gemm_nest *nest)
{
    uint32_t index[TW_GEMM_DIMS] = {0};
    int changed;
    do {
        int overwrite = !nest->accumulate;
        for (int d = 0; d < TW_GEMM_DIMS; d++)
            overwrite &= !(nest->overwrite_mask >> d & 1 && index[d]);
        run_point(m, address_of(nest->act_base, nest->act_stride, index, TW_GEMM_DIMS) & ACT_MASK,
                  address_of(nest->wgt_base, nest->wgt_stride, index, TW_GEMM_DIMS) & (WGT_DEPTH - 1),
                  address_of(nest->acc_base, nest->acc_stride, index, TW_GEMM_DIMS) & (ACC_DEPTH - 1), overwrite);
    } while (next_point(index, nest->bound, TW_GEMM_DIMS, &changed));
}

void run_gemm(struct machine *m, const uint8_t *raw)
{
    struct gemm_nest nest = {
        .accumulate = (int)tw_gemm_accumulate(raw), .overwrite_mask = tw_gemm_overwrite_mask(raw),
        .bound = FIELDS6(raw, gemm_bound), .act_base = tw_gemm_act_base(raw),
        .wgt_base = tw_gemm_wgt_base(raw), .acc_base = tw_gemm_acc_base(raw),
        .act_stride = FIELDS6(raw, gemm_act_stride), .wgt_stride = FIELDS6(raw, gemm_wgt_stride),
        .acc_stride = FIELDS6(raw, gemm_acc_stride),
    };
    if (!run_blocked_gemm(m, &nest))
        run_points(m, &nest);
}
