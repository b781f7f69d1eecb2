/* Requantisation of lanes: a SCALE cell taken apart, and the two roundings. */
#ifndef REQUANTISE_H
#define REQUANTISE_H

#include "machine.h"

/* `below` are the bits that the right shift drops, `half` half of them; `single` is -1 for a channel with single
 * rounding, else 0, and `singles` counts these. */
struct scale_cell {
    struct scale_lanes {
        struct scaling scaling;
        lanes_t left, right, below, half, single;
    } part[CELL_VECTORS];
    int singles;
};

static inline void read_scale(const struct machine *m, uint32_t cell, struct scale_cell *scale)
{
    int32_t left[BLOCK_OUT], multiplier[BLOCK_OUT], right[BLOCK_OUT], single[BLOCK_OUT];
    scale->singles = 0;
    for (int o = 0; o < BLOCK_OUT; o++) {
        uint32_t word[2];
        memcpy(word, m->scale[cell] + o * 8, sizeof word);
        multiplier[o] = (int32_t)(word[0] << (32 - MULTIPLIER_BITS)) >> (32 - MULTIPLIER_BITS);
        left[o] = (int32_t)(word[1] & 31);
        right[o] = (int32_t)(word[1] >> 8 & 31);
        single[o] = -(int32_t)(word[1] >> 16 & 1);
        scale->singles -= single[o];
    }
    for (int v = 0; v < CELL_VECTORS; v++) {
        struct scale_lanes *part = &scale->part[v];
        lanes_t one = lanes_set(1);
        part->left = lanes_load(left + v * LANES);
        part->right = lanes_load(right + v * LANES);
        part->single = lanes_load(single + v * LANES);
        part->below = lanes_subtract(lanes_shift_left(one, part->right), one);
        part->half = lanes_shift_right(part->below, one);
        part->scaling = scaling_of(lanes_load(multiplier + v * LANES),
                                   lanes_add(part->right, lanes_set(MULTIPLIER_BITS - 1)));
    }
}

/* The first rounding of a double one, to the nearest and halves up, is what gemmlowp's nudge of the product and
 * division toward zero come to. The second takes halves away from zero. */
static inline lanes_t round_twice(const struct scale_lanes *part, lanes_t x)
{
    lanes_t high = lanes_high_product(x, &part->scaling);
    lanes_t most = lanes_subtract(part->half, lanes_negative(high));
    lanes_t carry = lanes_negative(lanes_subtract(most, lanes_and(high, part->below)));
    return lanes_subtract(lanes_shift_right(high, part->right), carry);
}

static inline lanes_t requantise(const struct scale_cell *scale, int v, lanes_t u)
{
    const struct scale_lanes *part = &scale->part[v];
    lanes_t x = lanes_shift_left(u, part->left);
    if (!scale->singles)
        return round_twice(part, x);
    if (scale->singles == BLOCK_OUT)
        return lanes_far_product(x, &part->scaling);
    return lanes_choose(part->single, lanes_far_product(x, &part->scaling), round_twice(part, x));
}

#endif
