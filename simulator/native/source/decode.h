/* Fields of an instruction. The offsets and widths come from isa_fields.h, which is generated from the table. */
#ifndef DECODE_H
#define DECODE_H

#include <stdint.h>
#include <string.h>

#include "isa_fields.h"

#define RAW_BYTES (INSTRUCTION_BYTES + 8) /* so that a field at the end can be read as a 64-bit word */

static inline uint64_t field_bits(const uint8_t *raw, unsigned offset, unsigned width)
{
    uint64_t word;
    memcpy(&word, raw + offset / 8, sizeof word);
    return word >> offset % 8 & (((uint64_t)1 << width) - 1);
}

static inline int64_t signed_bits(const uint8_t *raw, unsigned offset, unsigned width)
{
    uint64_t sign = (uint64_t)1 << (width - 1);
    return (int64_t)(field_bits(raw, offset, width) ^ sign) - (int64_t)sign;
}

#define FIELD(raw, name) ((uint32_t)field_bits(raw, name##_OFFSET, name##_WIDTH))
#define SIGNED_FIELD(raw, name) ((int32_t)signed_bits(raw, name##_OFFSET, name##_WIDTH))

#define FIELDS4(raw, name) {FIELD(raw, name##0), FIELD(raw, name##1), FIELD(raw, name##2), FIELD(raw, name##3)}
#define FIELDS5(raw, name) \
    {FIELD(raw, name##0), FIELD(raw, name##1), FIELD(raw, name##2), FIELD(raw, name##3), FIELD(raw, name##4)}
#define FIELDS6(raw, name) \
    {FIELD(raw, name##0), FIELD(raw, name##1), FIELD(raw, name##2), FIELD(raw, name##3), FIELD(raw, name##4), \
     FIELD(raw, name##5)}
#define SIGNED3(raw, name) {SIGNED_FIELD(raw, name##0), SIGNED_FIELD(raw, name##1), SIGNED_FIELD(raw, name##2)}
#define SIGNED4(raw, name) \
    {SIGNED_FIELD(raw, name##0), SIGNED_FIELD(raw, name##1), SIGNED_FIELD(raw, name##2), SIGNED_FIELD(raw, name##3)}
#define SIGNED5(raw, name) \
    {SIGNED_FIELD(raw, name##0), SIGNED_FIELD(raw, name##1), SIGNED_FIELD(raw, name##2), \
     SIGNED_FIELD(raw, name##3), SIGNED_FIELD(raw, name##4)}
#define SIGNED6(raw, name) \
    {SIGNED_FIELD(raw, name##0), SIGNED_FIELD(raw, name##1), SIGNED_FIELD(raw, name##2), \
     SIGNED_FIELD(raw, name##3), SIGNED_FIELD(raw, name##4), SIGNED_FIELD(raw, name##5)}

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
