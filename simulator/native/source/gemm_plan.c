/* Which nests are blocked matrix products, and how.
 *
 * Loops are classed by their zero strides: without a step in ACC a loop is a reduction, without one in WGT it
 * enumerates rows of the product, without one in ACT columns; the others are mixed. Where all accumulators of the nest
 * are distinct, the order of the additions to each is free (they wrap). None of this depends on where the nest begins, as
 * long as no address wraps; and a program has few shapes, so plans are kept. */
#include <stdlib.h>

#include "walk.h"
#include "gemm.h"

#define MOST_POINTS 65536u

/* Loops of one class. */
struct loops {
    int dims;
    uint32_t bound[TW_GEMM_DIMS];
    int32_t act[TW_GEMM_DIMS], wgt[TW_GEMM_DIMS], acc[TW_GEMM_DIMS];
};

static void add_loop(struct loops *loops, const struct gemm_shape *shape, int d)
{
    int n = loops->dims++;
    loops->bound[n] = shape->bound[d];
    loops->act[n] = shape->act_stride[d];
    loops->wgt[n] = shape->wgt_stride[d];
    loops->acc[n] = shape->acc_stride[d];
}

/* All points of `loops`, once per hardware row where `copies` is ROWS; 0 where there are too many. */
static int list_points(struct points *points, const struct loops *loops, uint32_t copies)
{
    uint64_t count = 1;
    for (int d = 0; d < loops->dims; d++)
        if ((count *= loops->bound[d]) > MOST_POINTS)
            return 0;
    if (!(points->at = malloc(count * copies * sizeof *points->at)))
        return 0;
    uint32_t index[TW_GEMM_DIMS] = {0};
    int changed;
    do {
        int32_t act = (int32_t)address_of(0, loops->act, index, loops->dims) * GRANULE;
        int32_t wgt = (int32_t)address_of(0, loops->wgt, index, loops->dims) * (int32_t)TILE_BYTES;
        int32_t acc = (int32_t)address_of(0, loops->acc, index, loops->dims) * BLOCK_OUT;
        for (uint32_t row = 0; row < copies; row++)
            points->at[points->count++] = (struct point){act + (int32_t)(row * ACT_BYTES), wgt,
                                                         acc + (int32_t)(row * ACC_DEPTH * BLOCK_OUT)};
    } while (next_point(index, loops->bound, loops->dims, &changed));
    return 1;
}

static struct extent extent_of(const int32_t *stride, const uint32_t *bound)
{
    struct extent extent = {0, 0};
    for (int d = 0; d < TW_GEMM_DIMS; d++) {
        int64_t reach = (int64_t)stride[d] * (bound[d] - 1);
        *(reach < 0 ? &extent.low : &extent.high) += reach;
    }
    return extent;
}

/* Sorts the shape's loops by class; 0 where a reduction ends with its last product instead of the sum. */
static int sort_loops(const struct gemm_shape *shape, struct loops *reduction, struct loops *rows, struct loops *columns,
                      struct loops *mixed)
{
    for (int d = 0; d < TW_GEMM_DIMS; d++) {
        if (shape->bound[d] == 1)
            continue;
        if (shape->acc_stride[d] == 0) {
            if (!shape->accumulate && !(shape->overwrite_mask >> d & 1))
                return 0;
            add_loop(reduction, shape, d);
        } else {
            add_loop(shape->wgt_stride[d] == 0 ? rows : shape->act_stride[d] == 0 ? columns : mixed, shape, d);
        }
    }
    return 1;
}

static int fits(const struct extent *extent, int64_t depth)
{
    return extent->high - extent->low < depth;
}

static int distinct_accumulators(const struct gemm_plan *plan)
{
    if ((uint64_t)plan->mixed.count * plan->columns.count * plan->rows.count > (uint64_t)ROWS * ACC_DEPTH)
        return 0;
    uint8_t *seen = calloc((size_t)ROWS * ACC_DEPTH, 1);
    int distinct = seen != NULL;
    for (uint32_t o = 0; distinct && o < plan->mixed.count; o++)
        for (uint32_t c = 0; distinct && c < plan->columns.count; c++)
            for (uint32_t r = 0; distinct && r < plan->rows.count; r++) {
                int64_t acc = (int64_t)plan->mixed.at[o].acc + plan->columns.at[c].acc + plan->rows.at[r].acc;
                uint8_t *cell = &seen[acc / BLOCK_OUT - plan->acc.low];
                distinct = !*cell;
                *cell = 1;
            }
    free(seen);
    return distinct;
}

/* Accumulators that begin anew are those of the points where the mask's loops are at 0: all of them, or `fresh`. */
static int list_fresh(struct gemm_plan *plan, const struct gemm_shape *shape)
{
    struct loops loops = {0};
    plan->overwrites = !shape->accumulate;
    if (shape->accumulate)
        return 1;
    for (int d = 0; d < TW_GEMM_DIMS; d++) {
        if (shape->bound[d] == 1 || shape->acc_stride[d] == 0)
            continue;
        if (shape->overwrite_mask >> d & 1)
            plan->overwrites = 0;
        else
            add_loop(&loops, shape, d);
    }
    return plan->overwrites || list_points(&plan->fresh, &loops, ROWS);
}

static int whole_words(const struct gemm_shape *shape)
{
    for (int d = 0; d < TW_GEMM_DIMS; d++)
        if (shape->bound[d] > 1 && (uint32_t)shape->act_stride[d] % GEMM_GRANULES)
            return 0;
    return 1;
}

static int make_plan(struct gemm_plan *plan)
{
    const struct gemm_shape *shape = &plan->shape;
    struct loops reduction = {0}, rows = {0}, columns = {0}, mixed = {0};
    plan->act = extent_of(shape->act_stride, shape->bound);
    plan->wgt = extent_of(shape->wgt_stride, shape->bound);
    plan->acc = extent_of(shape->acc_stride, shape->bound);
    return fits(&plan->act, ACT_DEPTH) && fits(&plan->wgt, WGT_DEPTH) && fits(&plan->acc, ACC_DEPTH) &&
           whole_words(shape) && sort_loops(shape, &reduction, &rows, &columns, &mixed) &&
           list_points(&plan->rows, &rows, ROWS) && list_points(&plan->columns, &columns, 1) &&
           list_points(&plan->mixed, &mixed, 1) && list_points(&plan->reduction, &reduction, 1) &&
           distinct_accumulators(plan) && list_fresh(plan, shape);
}

static void free_points(struct gemm_plan *plan)
{
    free(plan->mixed.at);
    free(plan->rows.at);
    free(plan->columns.at);
    free(plan->reduction.at);
    free(plan->fresh.at);
}

static uint32_t place_of(const struct gemm_shape *shape)
{
    uint32_t words[sizeof *shape / 4], hash = 2166136261u; /* FNV-1a, a word at a time */
    memcpy(words, shape, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        hash = (hash ^ words[i]) * 16777619u;
    return (hash ^ hash >> 16) % PLANS;
}

const struct gemm_plan *gemm_plan(struct machine *m, const struct gemm_nest *nest)
{
    struct gemm_plan **place = &m->plans[place_of(&nest->shape)], *plan = *place;
    if (plan && !memcmp(&plan->shape, &nest->shape, sizeof plan->shape))
        return plan;
    if (plan)
        free_points(plan);
    else if (!(plan = *place = malloc(sizeof *plan)))
        return NULL;
    *plan = (struct gemm_plan){.shape = nest->shape};
    plan->blocked = make_plan(plan);
    return plan;
}

void gemm_plans_forget(struct machine *m)
{
    for (int n = 0; n < PLANS; n++) {
        if (m->plans[n])
            free_points(m->plans[n]);
        free(m->plans[n]);
        m->plans[n] = NULL;
    }
}
