/* Affine nests: where a point is, and for how many points a bank stays the same. */
#ifndef NEST_H
#define NEST_H

#include <stdint.h>

#define NEST_DIMS 6

/* `size[d]` points lie in loops d and inside; `size[dims]` is 1. */
struct nest {
    int dims;
    uint32_t bound[NEST_DIMS];
    int64_t size[NEST_DIMS + 1];
};

/* An operand's addresses before the memory's modulus; loops d and inside add `low[d]` to `high[d]`. */
struct place {
    int64_t base, stride[NEST_DIMS], low[NEST_DIMS + 1], high[NEST_DIMS + 1];
};

/* A memory's banks: its address bits, and how many of them are below the bank's number. */
struct banking {
    unsigned address_bits, shift;
};

static inline void nest_finish(struct nest *nest)
{
    nest->size[nest->dims] = 1;
    for (int d = nest->dims; d-- > 0;)
        nest->size[d] = nest->size[d + 1] * nest->bound[d];
}

static inline void place_finish(struct place *place, const struct nest *nest)
{
    place->low[nest->dims] = place->high[nest->dims] = 0;
    for (int d = nest->dims; d-- > 0;) {
        int64_t reach = place->stride[d] * (nest->bound[d] - 1);
        place->low[d] = place->low[d + 1] + (reach < 0 ? reach : 0);
        place->high[d] = place->high[d + 1] + (reach > 0 ? reach : 0);
    }
}

static inline uint64_t wrapped(int64_t address, struct banking banking)
{
    return (uint64_t)address & ((UINT64_C(1) << banking.address_bits) - 1);
}

static inline unsigned bank_of(int64_t address, struct banking banking)
{
    return (unsigned)(wrapped(address, banking) >> banking.shift);
}

/* Bit b: bank b may be touched by addresses `low` to `high`. */
static inline uint32_t banks_between(int64_t low, int64_t high, struct banking banking)
{
    unsigned banks = 1u << (banking.address_bits - banking.shift);
    uint32_t all = (uint32_t)((UINT64_C(1) << banks) - 1), mask = 0;
    int64_t first = low >> banking.shift, last = high >> banking.shift;
    if (last - first + 1 >= banks)
        return all;
    for (int64_t bank = first; bank <= last; bank++)
        mask |= 1u << (bank & (banks - 1));
    return mask;
}

static inline uint32_t place_banks(const struct place *place, struct banking banking)
{
    return banks_between(place->base + place->low[0], place->base + place->high[0], banking);
}

static inline int64_t place_address(const struct place *place, const struct nest *nest, int64_t point)
{
    int64_t at = place->base;
    for (int d = 0; d < nest->dims && point; d++) {
        int64_t index = point / nest->size[d + 1];
        point -= index * nest->size[d + 1];
        at += index * place->stride[d];
    }
    return at;
}

/* A point of a nest and its address, moved on one by one. */
struct steps {
    uint32_t index[NEST_DIMS];
    int64_t at;
};

static inline void steps_seek(struct steps *steps, const struct place *place, const struct nest *nest, int64_t point)
{
    steps->at = place->base;
    for (int d = 0; d < nest->dims; d++) {
        int64_t index = point / nest->size[d + 1];
        point -= index * nest->size[d + 1];
        steps->index[d] = (uint32_t)index;
        steps->at += index * place->stride[d];
    }
}

static inline void steps_advance(struct steps *steps, const struct place *place, const struct nest *nest)
{
    for (int d = nest->dims; d-- > 0;) {
        steps->at += place->stride[d];
        if (++steps->index[d] < nest->bound[d])
            return;
        steps->index[d] = 0;
        steps->at -= place->stride[d] * (int64_t)nest->bound[d];
    }
}

/* Bounds of the addresses at `count` points from `point` on. */
static inline void place_range(const struct place *place, const struct nest *nest, int64_t point, int64_t count,
                               int64_t *low, int64_t *high)
{
    int64_t at = place->base;
    *low = at + place->low[0];
    *high = at + place->high[0];
    for (int d = 0; d < nest->dims; d++) {
        int64_t size = nest->size[d + 1], index = point / size, more;
        point -= index * size;
        more = (point + count - 1) / size;
        at += index * place->stride[d];
        if (index + more >= nest->bound[d])
            return;
        *low = at + place->low[d + 1] + (place->stride[d] < 0 ? more * place->stride[d] : 0);
        *high = at + place->high[d + 1] + (place->stride[d] > 0 ? more * place->stride[d] : 0);
        if (more)
            return;
    }
}

/* How many further iterations, `left` at most, keep addresses `low` to `high` in their bank when each adds `stride`. */
static inline int64_t same_bank_steps(int64_t low, int64_t high, int64_t stride, int64_t left, struct banking banking)
{
    int64_t bank = (low >> banking.shift) << banking.shift, words = INT64_C(1) << banking.shift, steps = left;
    if (stride > 0)
        steps = (bank + words - 1 - high) / stride;
    else if (stride < 0)
        steps = (low - bank) / -stride;
    return steps < left ? steps : left;
}

/* The bank at `point`, and from there on how many points (at least 1) are sure to lie in it. */
static inline int64_t bank_run(const struct place *place, const struct nest *nest, int64_t point,
                               struct banking banking, unsigned *bank)
{
    int64_t at = place->base, left = 0, stride = 0;
    for (int d = 0;; d++) {
        int64_t low = at + place->low[d], high = at + place->high[d];
        if (d == nest->dims || low >> banking.shift == high >> banking.shift) {
            *bank = bank_of(low, banking);
            return nest->size[d] - point + nest->size[d] * same_bank_steps(low, high, stride, left, banking);
        }
        int64_t index = point / nest->size[d + 1];
        point -= index * nest->size[d + 1];
        stride = place->stride[d];
        at += index * stride;
        left = nest->bound[d] - 1 - index;
    }
}

#endif
