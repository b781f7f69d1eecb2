/* A whole GEMM nest as a blocked matrix product: register tiles of rows by columns over the whole reduction. */
#include "gemm.h"

#include "forms.h"

/* A part of the nest: one point of the mixed loops, and a stretch of the reduction. */
struct product {
    const operand_t *act;
    const weight_t *wgt;
    int32_t *acc;
    const struct point *rows, *columns, *steps;
    uint32_t step_count;
    int overwrite;
    int32_t (*excess)[BLOCK_OUT]; /* what the bias of operands adds to the sums of each column of a tile */
};

#define MOST_ROWS 12
#define MOST_COLUMNS (WEIGHTS / CELL_VECTORS > 1 ? WEIGHTS / CELL_VECTORS : 1)
#define FITTING_ROWS(columns) (SUMS / ((columns) * CELL_VECTORS))
#define EACH(variable, bound) _Pragma("GCC unroll 16") for (uint32_t variable = 0; variable < (bound); variable++)

/* The tile of `rows` by `columns`, both constants, from row r and column c on. Every loop over its sums has a constant
 * bound, so that they stay in registers. */
static inline __attribute__((always_inline)) void multiply_tile(const struct product *p, uint32_t r, uint32_t c,
                                                                const uint32_t rows, const uint32_t columns)
{
    const operand_t *x[MOST_ROWS];
    const weight_t *w[MOST_COLUMNS];
    int32_t *cell[MOST_ROWS];
    lanes_t sum[MOST_ROWS][MOST_COLUMNS][CELL_VECTORS];
    EACH(j, columns)
        w[j] = p->wgt + p->columns[c + j].wgt;
    EACH(i, rows) {
        x[i] = p->act + p->rows[r + i].act;
        cell[i] = p->acc + p->rows[r + i].acc;
        EACH(j, columns)
            EACH(v, CELL_VECTORS) {
                const int32_t *held = cell[i] + p->columns[c + j].acc + v * LANES;
                sum[i][j][v] = lanes_subtract(p->overwrite ? lanes_set(0) : lanes_load(held),
                                              lanes_load(p->excess[j] + v * LANES));
            }
    }
    for (uint32_t n = 0; n < p->step_count; n++) {
        ptrdiff_t act = p->steps[n].act, wgt = p->steps[n].wgt;
        for (int k = 0; k < BLOCK_IN / GROUP; k++) {
            weights_t weight[MOST_COLUMNS][CELL_VECTORS];
            EACH(j, columns)
                EACH(v, CELL_VECTORS)
                    weight[j][v] = weights_load(w[j] + wgt + packed_position((int)v * LANES, k * GROUP));
            EACH(i, rows) {
                word_t word;
                memcpy(&word, x[i] + act + k * GROUP, sizeof word);
                EACH(j, columns)
                    EACH(v, CELL_VECTORS)
                        sum[i][j][v] = lanes_dot(sum[i][j][v], word, weight[j][v]);
            }
        }
    }
    EACH(i, rows)
        EACH(j, columns)
            EACH(v, CELL_VECTORS)
                lanes_store(cell[i] + p->columns[c + j].acc + v * LANES, sum[i][j][v]);
}

typedef void tile_function(const struct product *p, uint32_t r, uint32_t c);

#define DEFINE_TILE(columns, rows) \
    static void tile_##columns##_##rows(const struct product *p, uint32_t r, uint32_t c) \
    { \
        if (columns <= MOST_COLUMNS && (rows == 1 || rows <= FITTING_ROWS(columns))) \
            multiply_tile(p, r, c, rows, columns); \
    }
#define NAME_TILE(columns, rows) tile_##columns##_##rows,
#define FOR_ROWS(do, columns) \
    do(columns, 1) do(columns, 2) do(columns, 3) do(columns, 4) do(columns, 5) do(columns, 6) \
    do(columns, 7) do(columns, 8) do(columns, 9) do(columns, 10) do(columns, 11) do(columns, 12)

FOR_ROWS(DEFINE_TILE, 1)
FOR_ROWS(DEFINE_TILE, 2)
FOR_ROWS(DEFINE_TILE, 3)
FOR_ROWS(DEFINE_TILE, 4)
static tile_function *const tiles[4][MOST_ROWS] = {
    {FOR_ROWS(NAME_TILE, 1)}, {FOR_ROWS(NAME_TILE, 2)}, {FOR_ROWS(NAME_TILE, 3)}, {FOR_ROWS(NAME_TILE, 4)},
};

static uint32_t most_rows(uint32_t columns)
{
    uint32_t most = FITTING_ROWS(columns);
    return most < 1 ? 1 : most > MOST_ROWS ? MOST_ROWS : most;
}

/* As many columns as a tile may have; never one alone after a wide tile, which would use few registers. */
static uint32_t columns_of_tile(uint32_t left)
{
    if (left == MOST_COLUMNS + 1 && MOST_COLUMNS > 2)
        return MOST_COLUMNS - 1;
    return left < MOST_COLUMNS ? left : MOST_COLUMNS;
}

static void sum_excess(const struct machine *m, const struct product *p, uint32_t c, uint32_t columns)
{
#if OPERAND_BIAS
    for (uint32_t j = 0; j < columns; j++) {
        const weight_t *first = p->wgt + p->columns[c + j].wgt;
        for (int v = 0; v < CELL_VECTORS; v++) {
            lanes_t sum = lanes_set(0);
            for (uint32_t n = 0; n < p->step_count; n++) {
                size_t tile = (size_t)(first + p->steps[n].wgt - m->wgt[0]) / TILE_BYTES;
                sum = lanes_add(sum, lanes_load(m->excess[tile] + v * LANES));
            }
            lanes_store(p->excess[j] + v * LANES, sum);
        }
    }
#else
    (void)m, (void)c;
    memset(p->excess, 0, columns * sizeof *p->excess);
#endif
}

/* Rows are shared out evenly, so that no tile is left with few of them. */
static void multiply(const struct machine *m, const struct product *p, uint32_t rows, uint32_t columns)
{
    for (uint32_t c = 0, wide; c < columns; c += wide) {
        wide = columns_of_tile(columns - c);
        uint32_t tiles_needed = (rows + most_rows(wide) - 1) / most_rows(wide);
        sum_excess(m, p, c, wide);
        for (uint32_t r = 0, tile = 0; tile < tiles_needed; tile++) {
            uint32_t end = (uint32_t)((uint64_t)rows * (tile + 1) / tiles_needed);
            tiles[wide - 1][end - r - 1](p, r, c);
            r = end;
        }
    }
}

static int inside(uint32_t first, const struct extent *extent, uint32_t depth)
{
    return first + extent->low >= 0 && first + extent->high < depth;
}

int run_blocked_gemm(struct machine *m, const struct gemm_nest *nest)
{
    const struct gemm_plan *plan = gemm_plan(m, nest);
    if (!plan || !plan->blocked || nest->act % GEMM_GRANULES || !inside(nest->act, &plan->act, ACT_DEPTH) ||
        !inside(nest->wgt, &plan->wgt, WGT_DEPTH) || !inside(nest->acc, &plan->acc, ACC_DEPTH))
        return 0;
    int32_t excess[MOST_COLUMNS][BLOCK_OUT];
    int32_t *acc = m->acc[0][nest->acc];
    for (uint32_t n = 0; n < plan->fresh.count; n++)
        memset(acc + plan->fresh.at[n].acc, 0, BLOCK_OUT * sizeof *acc);
    for (uint32_t o = 0; o < plan->mixed.count; o++) {
        const struct point *at = &plan->mixed.at[o];
        struct product p = {
            .act = m->act[0] + (size_t)nest->act * GRANULE + at->act, .wgt = m->wgt[nest->wgt] + at->wgt,
            .acc = acc + at->acc, .rows = plan->rows.at, .columns = plan->columns.at, .steps = plan->reduction.at,
            .step_count = plan->reduction.count, .overwrite = plan->overwrites, .excess = excess,
        };
        multiply(m, &p, plan->rows.count, plan->columns.count);
    }
    return 1;
}
