/* VECTOR. Results one after another, the channels of each side by side. */
#include "decode.h"
#include "machine.h"
#include "shadow.h"

#define ACT_MASK ((uint32_t)(ACT_DEPTH - 1) & ~(uint32_t)(VECTOR_GRANULES - 1))
/* Not unrolled: compilers vectorise these loops only as loops. */
#define EACH_CHANNEL _Pragma("GCC unroll 1") for (int o = 0; o < BLOCK_OUT; o++)

struct operand {
    uint32_t in_acc, base;
    int32_t stride[TW_VECTOR_DIMS];
};

struct vector_nest {
    uint32_t function, reduce, residual, bias_enable, scale_enable, scale_shared, table_enable, table, row_mask;
    int32_t a_zero, b_zero, zero_point, minimum, maximum;
    uint32_t bound[TW_VECTOR_DIMS], bias_base, scale_base;
    int32_t channel_stride[TW_VECTOR_DIMS];
    struct operand a, b, dst;
};

/* A SCALE cell, taken apart; `singles` counts the channels with single rounding. */
struct scale_cell {
    int32_t multiplier[BLOCK_OUT];
    uint32_t left[BLOCK_OUT], right[BLOCK_OUT], single[BLOCK_OUT], singles;
};

/* Where the parts of one result lie. */
struct place {
    uint32_t dst, b, bias;
};

static uint32_t operand_address(const struct operand *operand, const uint32_t *index)
{
    uint32_t address = address_of(operand->base, operand->stride, index, TW_VECTOR_DIMS);
    return operand->in_acc ? address & (ACC_DEPTH - 1) : address & ACT_MASK;
}

static void read_operand(const struct machine *m, uint32_t in_acc, int row, uint32_t address, int32_t zero,
                         int32_t *value)
{
    if (in_acc) {
        const int32_t *cell = m->acc[row][address];
        EACH_CHANNEL value[o] = (int32_t)((uint32_t)cell[o] - (uint32_t)zero);
    } else {
        const int8_t *channels = m->act[row] + (size_t)address * GRANULE;
        EACH_CHANNEL value[o] = channels[o] - zero;
    }
}

/* One step of the reduction; `b` is read by MAC only. Products of 9-bit numbers need no cutting: int8 less an
 * int8 zero point is one. */
static void step(uint32_t function, int first, int32_t *t, const int32_t *a, const int32_t *b)
{
    switch (function) {
    case TW_FUNCTION_SUM: EACH_CHANNEL t[o] = (int32_t)((uint32_t)t[o] + (uint32_t)a[o]); break;
    case TW_FUNCTION_MAX: EACH_CHANNEL t[o] = first || a[o] > t[o] ? a[o] : t[o]; break;
    case TW_FUNCTION_MIN: EACH_CHANNEL t[o] = first || a[o] < t[o] ? a[o] : t[o]; break;
    case TW_FUNCTION_MAC: EACH_CHANNEL t[o] = (int32_t)((uint32_t)t[o] + (uint32_t)(a[o] * b[o])); break;
    default: break;
    }
}

static void reduce_rows(const struct machine *m, const struct vector_nest *n, uint32_t *index, int32_t (*t)[BLOCK_OUT])
{
    int results = TW_VECTOR_DIMS - (int)n->reduce, changed, first = 1;
    if (n->function == TW_FUNCTION_ZERO) {
        for (int d = results; d < TW_VECTOR_DIMS; d++)
            index[d] = n->bound[d] - 1;
        return;
    }
    for (;;) {
        uint32_t a = operand_address(&n->a, index), b = operand_address(&n->b, index);
        for (int row = 0; row < ROWS; row++) {
            int32_t left[BLOCK_OUT], right[BLOCK_OUT];
            if (!(n->row_mask >> row & 1))
                continue;
            read_operand(m, n->a.in_acc, row, a, n->a_zero, left);
            if (n->function == TW_FUNCTION_MAC)
                read_operand(m, n->b.in_acc, row, b, n->b_zero, right);
            step(n->function, first, t[row], left, right);
        }
        first = 0;
        uint32_t last[TW_VECTOR_DIMS];
        memcpy(last, index, sizeof last);
        if (!next_point(index + results, n->bound + results, (int)n->reduce, &changed)) {
            memcpy(index, last, sizeof last);
            return;
        }
    }
}

static void read_scale(const struct machine *m, uint32_t cell, struct scale_cell *scale)
{
    const uint8_t *entries = m->scale[cell];
    scale->singles = 0;
    EACH_CHANNEL {
        uint32_t word;
        memcpy(&word, entries + o * 8, 4);
        word <<= 32 - MULTIPLIER_BITS;
        scale->multiplier[o] = (int32_t)word >> (32 - MULTIPLIER_BITS);
        scale->left[o] = entries[o * 8 + 4] & 31;
        scale->right[o] = entries[o * 8 + 5] & 31;
        scale->single[o] = entries[o * 8 + 6] & 1;
        scale->singles += scale->single[o];
    }
}

/* The two roundings of whole cells: each loop has one form for all channels, so that compilers vectorise it. */

static void round_twice(const int64_t *restrict product, const uint32_t *restrict right, int32_t *restrict v)
{
    const int64_t half = (int64_t)1 << (MULTIPLIER_BITS - 2), below_one = ((int64_t)1 << (MULTIPLIER_BITS - 1)) - 1;
    int64_t high[BLOCK_OUT];
    EACH_CHANNEL {
        int64_t negative = product[o] >> 63;
        int64_t nudged = product[o] + (half ^ negative) - 2 * negative; /* half, or 1 - half */
        high[o] = (nudged + (nudged >> 63 & below_one)) >> (MULTIPLIER_BITS - 1);
    }
    EACH_CHANNEL {
        int32_t h = (int32_t)(uint32_t)(uint64_t)high[o], mask = (int32_t)(((uint32_t)1 << right[o]) - 1);
        v[o] = (h >> right[o]) + ((h & mask) > (mask >> 1) + (h < 0));
    }
}

static void round_once(const int64_t *product, const uint32_t *right, int32_t *v)
{
    EACH_CHANNEL {
        int64_t half = (int64_t)1 << (MULTIPLIER_BITS - 2 + right[o]);
        v[o] = (int32_t)(uint32_t)(uint64_t)((product[o] + half) >> (MULTIPLIER_BITS - 1 + right[o]));
    }
}

static void requantise(const struct scale_cell *scale, int32_t *u)
{
    int64_t product[BLOCK_OUT];
    int32_t once[BLOCK_OUT];
    EACH_CHANNEL product[o] = (int64_t)(int32_t)((uint32_t)u[o] << scale->left[o]) * scale->multiplier[o];
    if (scale->singles < BLOCK_OUT)
        round_twice(product, scale->right, u);
    if (scale->singles) {
        round_once(product, scale->right, once);
        EACH_CHANNEL u[o] = scale->single[o] ? once[o] : u[o];
    }
}

/* A value cut to this range and one that was not clamp alike, whatever the 8-bit zero point and bounds. */
#define FAR 1024

static void write_act(struct machine *m, const struct vector_nest *n, int row, uint32_t dst, const int32_t *y)
{
    const int32_t zero_point = n->zero_point, minimum = n->minimum, maximum = n->maximum;
    int8_t z[BLOCK_OUT];
    EACH_CHANNEL {
        int32_t value = y[o] < -FAR ? -FAR : y[o] > FAR ? FAR : y[o];
        value += zero_point;
        value = value < minimum ? minimum : value;
        z[o] = (int8_t)(value > maximum ? maximum : value);
    }
    if (n->table_enable)
        EACH_CHANNEL z[o] = m->table[256 * (n->table % TABLES) + (uint32_t)(z[o] + 128)];
    memcpy(m->act[row] + (size_t)dst * GRANULE, z, sizeof z);
    shadow_act(m, row, (size_t)dst * GRANULE, sizeof z);
}

/* What follows the last step, in one row; t is used up. */
static void finish_row(struct machine *m, const struct vector_nest *n, int row, const struct place *place,
                       const struct scale_cell *scale, int32_t *t)
{
    if (n->bias_enable)
        EACH_CHANNEL t[o] = (int32_t)((uint32_t)t[o] + (uint32_t)m->bias[place->bias][o]);
    if (n->scale_enable)
        requantise(scale, t);
    if (n->residual) {
        int32_t b[BLOCK_OUT];
        read_operand(m, n->b.in_acc, row, place->b, 0, b);
        EACH_CHANNEL t[o] = (int32_t)((uint32_t)t[o] + (uint32_t)b[o]);
    }
    if (n->dst.in_acc)
        memcpy(m->acc[row][place->dst], t, BLOCK_OUT * 4);
    else
        write_act(m, n, row, place->dst, t);
}

static void run_results(struct machine *m, const struct vector_nest *n)
{
    uint32_t index[TW_VECTOR_DIMS] = {0}, held = UINT32_MAX;
    struct scale_cell scale;
    int results = TW_VECTOR_DIMS - (int)n->reduce, changed;
    do {
        int32_t t[ROWS][BLOCK_OUT] = {0};
        memset(index + results, 0, (size_t)n->reduce * sizeof *index);
        reduce_rows(m, n, index, t);
        uint32_t channel = address_of(0, n->channel_stride, index, TW_VECTOR_DIMS);
        struct place place = {operand_address(&n->dst, index), operand_address(&n->b, index),
                              (n->bias_base + channel) & (BIAS_DEPTH - 1)};
        uint32_t cell = (n->scale_base + (n->scale_shared ? 0 : channel)) & (SCALE_DEPTH - 1);
        if (n->scale_enable && cell != held)
            read_scale(m, held = cell, &scale);
        for (int row = 0; row < ROWS; row++)
            if (n->row_mask >> row & 1)
                finish_row(m, n, row, &place, &scale, t[row]);
    } while (next_point(index, n->bound, results, &changed));
}

#define OPERAND(raw, name) \
    {tw_vector_##name##_memory(raw), tw_vector_##name##_base(raw), FIELDS5(raw, vector_##name##_stride)}

void run_vector(struct machine *m, const uint8_t *raw)
{
    struct vector_nest nest = {
        .function = tw_vector_function(raw), .reduce = tw_vector_reduce(raw),
        .residual = tw_vector_residual(raw), .bias_enable = tw_vector_bias_enable(raw),
        .scale_enable = tw_vector_scale_enable(raw), .scale_shared = tw_vector_scale_shared(raw),
        .table_enable = tw_vector_table_enable(raw), .table = tw_vector_table(raw),
        .row_mask = tw_vector_row_mask(raw), .a_zero = tw_vector_a_zero(raw),
        .b_zero = tw_vector_b_zero(raw), .zero_point = tw_vector_zero_point(raw),
        .minimum = tw_vector_minimum(raw), .maximum = tw_vector_maximum(raw),
        .bound = FIELDS5(raw, vector_bound), .bias_base = tw_vector_bias_base(raw),
        .scale_base = tw_vector_scale_base(raw), .channel_stride = FIELDS5(raw, vector_channel_stride),
        .a = OPERAND(raw, a), .b = OPERAND(raw, b), .dst = OPERAND(raw, dst),
    };
    run_results(m, &nest);
}
