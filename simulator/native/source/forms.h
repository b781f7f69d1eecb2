/* ACT and WGT are held in the form in which the multiplier reads them; here they are written and read as in DRAM. */
#ifndef FORMS_H
#define FORMS_H

#include "machine.h"

typedef int8_t granule_t __attribute__((vector_size(GRANULE)));
typedef operand_t granule_operands_t __attribute__((vector_size(GRANULE * sizeof(operand_t))));

/* LINE values at a time where a run is long, then granules. */
#define LINE 64
typedef int8_t line_t __attribute__((vector_size(LINE)));
typedef operand_t line_operands_t __attribute__((vector_size(LINE * sizeof(operand_t))));

#define CONVERT(values_type, operands_type) \
    do { \
        values_type values; \
        memcpy(&values, from, sizeof values); \
        operands_type operands = __builtin_convertvector(values, operands_type) + (operand_t)OPERAND_BIAS; \
        memcpy(to, &operands, sizeof operands); \
        from += sizeof values, to += sizeof values, left -= sizeof values; \
    } while (0)

static inline void write_act(struct machine *m, int row, size_t granule, size_t count, const uint8_t *from)
{
    operand_t *to = m->act[row] + granule * GRANULE;
    size_t left = count * GRANULE;
    while (left >= LINE)
        CONVERT(line_t, line_operands_t);
    while (left)
        CONVERT(granule_t, granule_operands_t);
}
#undef CONVERT

static inline void read_act(const struct machine *m, int row, size_t granule, size_t count, uint8_t *to)
{
    const operand_t *from = m->act[row] + granule * GRANULE;
    for (; count--; from += GRANULE, to += GRANULE) {
        granule_operands_t operands;
        memcpy(&operands, from, sizeof operands);
        granule_t values = __builtin_convertvector(operands - (operand_t)OPERAND_BIAS, granule_t);
        memcpy(to, &values, sizeof values);
    }
}

/* Where weight (o, k) of a tile lies. */
static inline size_t packed_position(int o, int k)
{
    return (size_t)(k / GROUP) * BLOCK_OUT * GROUP + (size_t)o * GROUP + (size_t)(k % GROUP);
}

static inline void write_wgt(struct machine *m, size_t tile, const uint8_t *from)
{
    weight_t *to = m->wgt[tile];
#ifdef PACK_16_BY_4
    for (int o = 0; o < BLOCK_OUT; o += 16)
        for (int k = 0; k < BLOCK_IN; k += 16)
            pack_16_by_4(to + packed_position(o, k), from + o * BLOCK_IN + k);
#else
    for (int k = 0; k < BLOCK_IN; k += GROUP)
        for (int o = 0; o < BLOCK_OUT; o++)
            for (int i = 0; i < GROUP; i++)
                to[packed_position(o, k) + i] = (int8_t)from[o * BLOCK_IN + k + i];
#endif
#if OPERAND_BIAS
    for (int v = 0; v < CELL_VECTORS; v++) {
        lanes_t sum = lanes_set(0);
        for (int k = 0; k < BLOCK_IN; k += GROUP)
            sum = lanes_dot(sum, 0x01010101u * OPERAND_BIAS, weights_load(to + packed_position(v * LANES, k)));
        lanes_store(m->excess[tile] + v * LANES, sum);
    }
#endif
}

static inline void read_wgt(const struct machine *m, size_t tile, uint8_t *to)
{
    for (int o = 0; o < BLOCK_OUT; o++)
        for (int k = 0; k < BLOCK_IN; k++)
            to[o * BLOCK_IN + k] = (uint8_t)m->wgt[tile][packed_position(o, k)];
}

#endif
