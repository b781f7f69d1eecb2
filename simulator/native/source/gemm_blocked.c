/* A whole GEMM nest as a blocked matrix product.
 *
 * Loops are classed by their zero strides: without a step in ACC a loop is a reduction, without one in WGT it
 * enumerates rows of the product, without one in ACT columns; the others are outermost. Where all
 * accumulators of the nest are distinct, the order of the additions to each is free (they wrap), so rows
 * and columns are done in register tiles over the whole reduction. */
#include "decode.h"
#include "gemm.h"
#include "lanes.h"

/* Loops of one class, those that run once left out. `masked`: the loop is in the overwrite mask. */
struct loops {
    int dims;
    uint32_t bound[TW_GEMM_DIMS];
    int32_t act[TW_GEMM_DIMS], wgt[TW_GEMM_DIMS], acc[TW_GEMM_DIMS];
    uint8_t masked[TW_GEMM_DIMS];
};

static void add_loop(struct loops *loops, const struct gemm_nest *nest, int d)
{
    int n = loops->dims++;
    loops->bound[n] = nest->bound[d];
    loops->act[n] = nest->act_stride[d];
    loops->wgt[n] = nest->wgt_stride[d];
    loops->acc[n] = nest->acc_stride[d];
    loops->masked[n] = nest->overwrite_mask >> d & 1;
}

static int within(uint32_t base, const int32_t *stride, const uint32_t *bound, uint32_t depth)
{
    int64_t low = base, high = base;
    for (int d = 0; d < TW_GEMM_DIMS; d++) {
        int64_t reach = (int64_t)stride[d] * (bound[d] - 1);
        *(reach < 0 ? &low : &high) += reach;
    }
    return low >= 0 && high < depth;
}

/* No address wraps, and every activation address is whole words. */
static int plain_addresses(const struct gemm_nest *nest)
{
    uint32_t low_bits = nest->act_base;
    for (int d = 0; d < TW_GEMM_DIMS; d++)
        if (nest->bound[d] > 1)
            low_bits |= (uint32_t)nest->act_stride[d];
    return low_bits % GEMM_GRANULES == 0 && within(nest->act_base, nest->act_stride, nest->bound, ACT_DEPTH) &&
           within(nest->wgt_base, nest->wgt_stride, nest->bound, WGT_DEPTH) &&
           within(nest->acc_base, nest->acc_stride, nest->bound, ACC_DEPTH);
}

/* All points of `loops`, once per hardware row where `hardware_rows`; 0 where the table is too small. */
static int fill_table(struct point_table *table, const struct loops *loops, int hardware_rows)
{
    uint64_t points = 1;
    for (int d = 0; d < loops->dims; d++)
        if ((points *= loops->bound[d]) > ACC_DEPTH)
            return 0;
    uint32_t index[TW_GEMM_DIMS] = {0};
    int changed;
    table->count = 0;
    do {
        uint32_t act = address_of(0, loops->act, index, loops->dims);
        uint32_t wgt = address_of(0, loops->wgt, index, loops->dims);
        uint32_t acc = address_of(0, loops->acc, index, loops->dims);
        uint8_t first = 1;
        for (int d = 0; d < loops->dims; d++)
            first &= !(loops->masked[d] && index[d]);
        for (uint32_t row = 0; row < (hardware_rows ? ROWS : 1); row++) {
            uint32_t n = table->count++;
            table->act[n] = act * GRANULE + row * (uint32_t)ACT_BYTES;
            table->wgt[n] = wgt;
            table->acc[n] = acc + row * ACC_DEPTH;
            table->first[n] = first;
        }
    } while (next_point(index, loops->bound, loops->dims, &changed));
    return 1;
}

/* Hardware rows of one point follow each other in the row table and can't collide: step over them. */
static int distinct_accumulators(struct machine *m, uint32_t base)
{
    uint64_t cells = (uint64_t)m->mixed.count * m->columns.count * (m->rows.count / ROWS);
    if (cells > ACC_DEPTH)
        return 0;
    if (++m->generation == 0) {
        memset(m->stamp, 0, sizeof m->stamp);
        m->generation = 1;
    }
    for (uint32_t o = 0; o < m->mixed.count; o++)
        for (uint32_t c = 0; c < m->columns.count; c++)
            for (uint32_t r = 0; r < m->rows.count; r += ROWS) {
                uint32_t cell = base + m->mixed.acc[o] + m->columns.acc[c] + m->rows.acc[r];
                if (m->stamp[cell] == m->generation)
                    return 0;
                m->stamp[cell] = m->generation;
            }
    return 1;
}

static int32_t *cell_at(struct machine *m, uint32_t cell)
{
    return &m->acc[0][0][0] + (size_t)cell * BLOCK_OUT;
}

static void clear_overwritten(struct machine *m, uint32_t base)
{
    for (uint32_t o = 0; o < m->mixed.count; o++)
        for (uint32_t c = 0; c < m->columns.count; c++)
            for (uint32_t r = 0; r < m->rows.count; r++)
                if (m->mixed.first[o] && m->columns.first[c] && m->rows.first[r])
                    memset(cell_at(m, base + m->mixed.acc[o] + m->columns.acc[c] + m->rows.acc[r]), 0, BLOCK_OUT * 4);
}

/* A part of the nest: one point of the mixed loops, one chunk of the reduction. */
struct part {
    struct machine *m;
    uint32_t act, wgt, acc; /* byte offset, tile, cell */
    uint32_t reduction;
};

/* Register tiles: as many sums as the vector registers hold beside the weights. */
#define SUMS (VECTOR_REGISTERS == 32 ? 24 : 8)
#define WEIGHTS (VECTOR_REGISTERS == 32 ? 4 : 2)
#define WIDE_COLUMNS (WEIGHTS / CELL_VECTORS > 1 ? WEIGHTS / CELL_VECTORS : 1)
#define ROWS_FOR(columns) (SUMS / ((columns) * CELL_VECTORS) > 1 ? SUMS / ((columns) * CELL_VECTORS) : 1)
#define WIDE_ROWS ROWS_FOR(WIDE_COLUMNS)
#define NARROW_ROWS (ROWS_FOR(1) < 12 ? ROWS_FOR(1) : 12)

#define TILE wide_tile
#define TILE_ROWS WIDE_ROWS
#define TILE_COLUMNS WIDE_COLUMNS
#include "gemm_tile.h"
#define TILE wide_rest
#define TILE_ROWS 1
#define TILE_COLUMNS WIDE_COLUMNS
#include "gemm_tile.h"
#define TILE narrow_tile
#define TILE_ROWS NARROW_ROWS
#define TILE_COLUMNS 1
#include "gemm_tile.h"
#define TILE narrow_rest
#define TILE_ROWS 1
#define TILE_COLUMNS 1
#include "gemm_tile.h"

/* What the bias of the activations adds to a column's sums over the part's reduction. */
static void sum_excess(const struct part *p, uint32_t column, int32_t *excess)
{
    const int32_t *from = p->m->wgt_excess[p->wgt + p->m->columns.wgt[column]];
    uint32_t total[BLOCK_OUT] = {0};
    for (uint32_t n = 0; n < p->reduction; n++)
        for (int o = 0; o < BLOCK_OUT; o++)
            total[o] += (uint32_t)from[(ptrdiff_t)p->m->reduction_wgt[n] * BLOCK_OUT + o];
    memcpy(excess, total, sizeof total);
}

static void multiply_part(const struct part *p)
{
    uint32_t rows = p->m->rows.count, columns = p->m->columns.count, c = 0, r;
    int32_t excess[WIDE_COLUMNS][BLOCK_OUT];
    for (; c + WIDE_COLUMNS <= columns; c += WIDE_COLUMNS) {
        for (int j = 0; j < WIDE_COLUMNS; j++)
            sum_excess(p, c + j, excess[j]);
        for (r = 0; r + WIDE_ROWS <= rows; r += WIDE_ROWS)
            wide_tile(p, r, c, excess);
        for (; r < rows; r++)
            wide_rest(p, r, c, excess);
    }
    for (; c < columns; c++) {
        sum_excess(p, c, excess[0]);
        for (r = 0; r + NARROW_ROWS <= rows; r += NARROW_ROWS)
            narrow_tile(p, r, c, excess);
        for (; r < rows; r++)
            narrow_rest(p, r, c, excess);
    }
}

/* The whole nest, its reduction in chunks that the offset tables hold. */
static void multiply(struct machine *m, const struct gemm_nest *nest, const struct loops *reduction)
{
    uint32_t index[TW_GEMM_DIMS] = {0};
    int changed, more = 1;
    while (more) {
        uint32_t n = 0;
        for (; more && n < REDUCTION_CHUNK; n++) {
            m->reduction_act[n] = (int32_t)address_of(0, reduction->act, index, reduction->dims) * GRANULE;
            m->reduction_wgt[n] = (int32_t)address_of(0, reduction->wgt, index, reduction->dims);
            more = next_point(index, reduction->bound, reduction->dims, &changed);
        }
        for (uint32_t o = 0; o < m->mixed.count; o++) {
            struct part p = {.m = m, .reduction = n, .act = nest->act_base * GRANULE + m->mixed.act[o],
                             .wgt = nest->wgt_base + m->mixed.wgt[o], .acc = nest->acc_base + m->mixed.acc[o]};
            multiply_part(&p);
        }
    }
}

int run_blocked_gemm(struct machine *m, const struct gemm_nest *nest)
{
    struct loops reduction = {0}, rows = {0}, columns = {0}, mixed = {0};
    if (!plain_addresses(nest))
        return 0;
    for (int d = 0; d < TW_GEMM_DIMS; d++) {
        if (nest->bound[d] == 1)
            continue;
        int reduces = nest->acc_stride[d] == 0;
        if (reduces && !nest->accumulate && !(nest->overwrite_mask >> d & 1))
            return 0;
        add_loop(reduces ? &reduction : nest->wgt_stride[d] == 0 ? &rows : nest->act_stride[d] == 0 ? &columns : &mixed,
                 nest, d);
    }
    if (!fill_table(&m->rows, &rows, 1) || !fill_table(&m->columns, &columns, 0) || !fill_table(&m->mixed, &mixed, 0) ||
        !distinct_accumulators(m, nest->acc_base))
        return 0;
    if (!nest->accumulate)
        clear_overwritten(m, nest->acc_base);
    multiply(m, nest, &reduction);
    return 1;
}
