/* Lanes as GNU C vectors, which GCC and Clang lay out on whatever the CPU has. */

#define GROUP 1
#define OPERAND_BIAS 0
typedef int8_t operand_t;
typedef int16_t weight_t;
typedef int8_t word_t;

/* Sums and columns of weights that a register file of any kind holds. */
#define SUMS 4
#define WEIGHTS 1

typedef int32_t lanes_t __attribute__((vector_size(LANES * 4)));
typedef int8_t bytes_t __attribute__((vector_size(LANES)));
typedef int16_t weights_t __attribute__((vector_size(LANES * 2)));
typedef int64_t doubles_t __attribute__((vector_size(LANES * 8)));

static inline lanes_t lanes_load(const void *from)
{
    lanes_t v;
    memcpy(&v, from, sizeof v);
    return v;
}
static inline void lanes_store(void *to, lanes_t v) { memcpy(to, &v, sizeof v); }
static inline lanes_t lanes_set(int32_t value) { return (lanes_t){0} + value; }
static inline lanes_t lanes_add(lanes_t a, lanes_t b) { return a + b; }
static inline lanes_t lanes_subtract(lanes_t a, lanes_t b) { return a - b; }
static inline lanes_t lanes_multiply(lanes_t a, lanes_t b) { return a * b; }
static inline lanes_t lanes_and(lanes_t a, lanes_t b) { return a & b; }
static inline lanes_t lanes_shift_left(lanes_t v, lanes_t by) { return v << by; }
static inline lanes_t lanes_shift_right(lanes_t v, lanes_t by) { return v >> by; }
static inline lanes_t lanes_negative(lanes_t v) { return v >> 31; }

/* `chosen` where the lane of `choice` is -1, `other` where it is 0. */
static inline lanes_t lanes_choose(lanes_t choice, lanes_t chosen, lanes_t other)
{
    return (choice & chosen) | (~choice & other);
}
static inline lanes_t lanes_max(lanes_t a, lanes_t b) { return lanes_choose(a > b, a, b); }
static inline lanes_t lanes_min(lanes_t a, lanes_t b) { return lanes_choose(a < b, a, b); }

static inline weights_t weights_load(const weight_t *from)
{
    weights_t v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* The products fit int16: both factors are 8-bit. */
static inline lanes_t lanes_dot(lanes_t sum, word_t x, weights_t w)
{
    return sum + __builtin_convertvector(w * (int16_t)x, lanes_t);
}

static inline lanes_t lanes_load_bytes(const int8_t *from)
{
    bytes_t v;
    memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, lanes_t);
}
static inline lanes_t operands_load(const operand_t *from) { return lanes_load_bytes(from); }
static inline void operands_store(operand_t *to, lanes_t v)
{
    bytes_t narrow = __builtin_convertvector(v, bytes_t);
    memcpy(to, &narrow, sizeof narrow);
}

/* A factor and a shift from 1 to 62 for each lane. */
struct scaling {
    doubles_t factor, shift;
};

static inline struct scaling scaling_of(lanes_t factor, lanes_t shift)
{
    return (struct scaling){__builtin_convertvector(factor, doubles_t), __builtin_convertvector(shift, doubles_t)};
}

/* (v * factor + 2^(s - 1)) / 2^s with s = MULTIPLIER_BITS - 1, rounded down, modulo 2^32. */
static inline lanes_t lanes_high_product(lanes_t v, const struct scaling *by)
{
    doubles_t product = __builtin_convertvector(v, doubles_t) * by->factor;
    return __builtin_convertvector((product + ((int64_t)1 << (MULTIPLIER_BITS - 2))) >> (MULTIPLIER_BITS - 1), lanes_t);
}

/* The same with the shift s of each lane. */
static inline lanes_t lanes_far_product(lanes_t v, const struct scaling *by)
{
    doubles_t one = (doubles_t){0} + 1, half = one << (by->shift - one);
    return __builtin_convertvector((__builtin_convertvector(v, doubles_t) * by->factor + half) >> by->shift, lanes_t);
}
