/* The walk over a nest. */
#ifndef WALK_H
#define WALK_H

#include "tilewright.h"

/* Moves `index` to the next point of a nest; 0 after the last. `changed` is the outermost loop that stepped:
 * the loops inside it are back at 0. */
static inline int next_point(uint32_t *index, const uint32_t *bound, int dims, int *changed)
{
    for (int d = dims - 1; d >= 0; d--) {
        if (++index[d] < bound[d]) {
            *changed = d;
            return 1;
        }
        index[d] = 0;
    }
    return 0;
}

/* base + sum of stride * index, modulo 2^32: exact modulo every memory's depth. */
static inline uint32_t address_of(uint32_t base, const int32_t *stride, const uint32_t *index, int dims)
{
    for (int d = 0; d < dims; d++)
        base += (uint32_t)stride[d] * index[d];
    return base;
}

#endif
