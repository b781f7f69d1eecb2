/* Keeps the multiplier loops' copies of ACT and WGT current; call it after every write of either. */
#ifndef SHADOW_H
#define SHADOW_H

#include "lanes.h"
#include "machine.h"

static inline void shadow_act(struct machine *m, int row, size_t first_byte, size_t nbytes)
{
    const int8_t *restrict from = m->act[row] + first_byte;
    uint8_t *restrict to = m->act_biased[row] + first_byte;
    for (size_t i = 0; i < nbytes; i++)
        to[i] = (uint8_t)from[i] ^ 0x80;
}

static inline void shadow_wgt(struct machine *m, size_t tile)
{
    const int8_t *from = m->wgt[tile];
    for (int o = 0; o < BLOCK_OUT; o++) {
        int32_t sum = 0;
        for (int k = 0; k < BLOCK_IN; k++) {
            m->wgt_packed[tile][packed_position(o, k)] = from[o * BLOCK_IN + k];
            sum += from[o * BLOCK_IN + k];
        }
        m->wgt_excess[tile][o] = 128 * sum;
    }
}

#endif
