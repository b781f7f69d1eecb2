/* VECTOR. Results one after another, the channels of each side by side. */
#include "walk.h"
#include "machine.h"
#include "requantise.h"

#define ACT_MASK ((uint32_t)(ACT_DEPTH - 1) & ~(uint32_t)(VECTOR_GRANULES - 1))

#define WINDOW 256

struct vector_nest {
    uint32_t function, a_in_acc, b_in_acc, dst_in_acc;
    uint32_t residual, bias_enable, scale_enable, scale_shared, table_enable, row_mask, bias_base, scale_base;
    int32_t a_zero, b_zero, residual_zero; /* of what read_operand gives: with the bias of operands, where there is one */
    int32_t zero_point, minimum, maximum;
    const int8_t *table;
    uint32_t bound[TW_VECTOR_DIMS];
    int32_t a_stride[TW_VECTOR_DIMS], b_stride[TW_VECTOR_DIMS], dst_stride[TW_VECTOR_DIMS],
        channel_stride[TW_VECTOR_DIMS];
    int results; /* loops over results; the others reduce */
    uint64_t steps;
    const struct window *window;
};

/* Offsets of each step of a reduction that has at most WINDOW of them. */
struct window {
    uint32_t a[WINDOW], b[WINDOW];
};

/* What is constant in a compiled form of the loop over results: DYNAMIC stands for what the nest says. */
struct form {
    uint32_t function, single_step, a_in_acc, dst_in_acc;
};
#define DYNAMIC 2

/* Addresses of one result: a and b at its first step, the others at its last. */
struct place {
    uint32_t a, b, last_b, dst, channel;
};

static inline lanes_t read_operand(const struct machine *m, uint32_t in_acc, int row, uint32_t address, int first)
{
    return in_acc ? lanes_load(m->acc[row][address & (ACC_DEPTH - 1)] + first)
                  : operands_load(m->act[row] + (size_t)(address & ACT_MASK) * GRANULE + first);
}

/* One step of the reduction. Products of 9-bit numbers need no cutting: int8 less an int8 zero point is one. */
static inline lanes_t step(const struct machine *m, const struct vector_nest *n, struct form form, int row, int first,
                           uint32_t a_address, uint32_t b_address, lanes_t t)
{
    uint32_t a_in_acc = form.a_in_acc == DYNAMIC ? n->a_in_acc : form.a_in_acc;
    lanes_t a = lanes_subtract(read_operand(m, a_in_acc, row, a_address, first), lanes_set(n->a_zero));
    switch (form.function) {
    case TW_FUNCTION_SUM: return lanes_add(t, a);
    case TW_FUNCTION_MAX: return lanes_max(t, a);
    case TW_FUNCTION_MIN: return lanes_min(t, a);
    default: break;
    }
    lanes_t b = lanes_subtract(read_operand(m, n->b_in_acc, row, b_address, first), lanes_set(n->b_zero));
    return lanes_add(t, lanes_multiply(a, b));
}

/* What t is before the first step: MAX and MIN lose against everything with these. */
static inline lanes_t neutral(uint32_t function)
{
    return lanes_set(function == TW_FUNCTION_MAX ? INT32_MIN : function == TW_FUNCTION_MIN ? INT32_MAX : 0);
}

static inline lanes_t reduce_far(const struct machine *m, const struct vector_nest *n, struct form form, int row,
                                 int first, const struct place *at)
{
    int dims = TW_VECTOR_DIMS - n->results, changed;
    uint32_t index[TW_VECTOR_DIMS] = {0};
    lanes_t t = neutral(form.function);
    do
        t = step(m, n, form, row, first, address_of(at->a, n->a_stride + n->results, index, dims),
                 address_of(at->b, n->b_stride + n->results, index, dims), t);
    while (next_point(index, n->bound + n->results, dims, &changed));
    return t;
}

static inline lanes_t reduce(const struct machine *m, const struct vector_nest *n, struct form form, int row, int first,
                             const struct place *at)
{
    lanes_t t = neutral(form.function);
    if (form.function == TW_FUNCTION_ZERO)
        return t;
    if (form.single_step)
        return step(m, n, form, row, first, at->a, at->b, t);
    if (n->steps > WINDOW)
        return reduce_far(m, n, form, row, first, at);
    for (uint32_t k = 0; k < n->steps; k++)
        t = step(m, n, form, row, first, at->a + n->window->a[k], at->b + n->window->b[k], t);
    return t;
}

static inline lanes_t look_up(const int8_t *table, lanes_t z)
{
    int32_t index[LANES];
    int8_t found[LANES];
    lanes_store(index, z);
    for (int o = 0; o < LANES; o++)
        found[o] = table[index[o] + 128];
    return lanes_load_bytes(found);
}

/* To ACT. The clamp comes before the zero point, with its bounds moved: then nothing can wrap. */
static inline void narrow(struct machine *m, const struct vector_nest *n, int row, size_t byte, lanes_t y)
{
    lanes_t low = lanes_set(n->minimum - n->zero_point), high = lanes_set(n->maximum - n->zero_point);
    lanes_t z = lanes_add(lanes_min(lanes_max(y, low), high), lanes_set(n->zero_point));
    if (n->table_enable)
        z = look_up(n->table, z);
    operands_store(m->act[row] + byte, lanes_add(z, lanes_set(OPERAND_BIAS)));
}

/* What follows the last step, for channels from `first` on in one row. */
static inline void finish(struct machine *m, const struct vector_nest *n, struct form form, int row, int first,
                          const struct place *at, const struct scale_cell *scale, lanes_t t)
{
    if (n->bias_enable)
        t = lanes_add(t, lanes_load(m->bias[(n->bias_base + at->channel) & (BIAS_DEPTH - 1)] + first));
    if (n->scale_enable)
        t = requantise(scale, first / LANES, t);
    if (n->residual)
        t = lanes_add(t, lanes_subtract(read_operand(m, n->b_in_acc, row, at->last_b, first),
                                        lanes_set(n->residual_zero)));
    if (form.dst_in_acc == DYNAMIC ? n->dst_in_acc : form.dst_in_acc)
        lanes_store(m->acc[row][at->dst & (ACC_DEPTH - 1)] + first, t);
    else
        narrow(m, n, row, (size_t)(at->dst & ACT_MASK) * GRANULE + (size_t)first, t);
}

/* What becomes of a sum; ROUNDING_MIXED where some channels round once and others twice. */
enum rounding { ROUNDING_NONE, ROUNDING_ONCE, ROUNDING_TWICE, ROUNDING_MIXED };

static enum rounding rounding_of(const struct vector_nest *n, const struct scale_cell *scale)
{
    return !n->scale_enable ? ROUNDING_NONE : !scale->singles ? ROUNDING_TWICE :
           scale->singles == BLOCK_OUT ? ROUNDING_ONCE : ROUNDING_MIXED;
}

static inline lanes_t round_lanes(const struct scale_lanes *part, enum rounding rounding, lanes_t t)
{
    lanes_t x = lanes_shift_left(t, part->left);
    switch (rounding) {
    case ROUNDING_ONCE: return lanes_far_product(x, &part->scaling);
    case ROUNDING_TWICE: return round_twice(part, x);
    default: return lanes_choose(part->single, lanes_far_product(x, &part->scaling), round_twice(part, x));
    }
}

/* The innermost loop of sums of one step whose channels stay: one part of the cells in one row. Rounding is a constant,
 * so that all that does not change stays in registers. */
static inline __attribute__((always_inline)) void run_line(struct machine *m, const struct vector_nest *n, const struct form form,
                                                           const enum rounding rounding, int row, int first, struct place at,
                                                           const struct scale_lanes part, int loop)
{
    const lanes_t zero = lanes_set(n->a_zero), residual_zero = lanes_set(n->residual_zero);
    const lanes_t low = lanes_set(n->minimum - n->zero_point), high = lanes_set(n->maximum - n->zero_point);
    const lanes_t offset = lanes_set(n->zero_point + OPERAND_BIAS);
    const uint32_t residual = n->residual, b_in_acc = n->b_in_acc;
    const uint32_t a_stride = (uint32_t)n->a_stride[loop], b_stride = (uint32_t)n->b_stride[loop];
    const uint32_t dst_stride = (uint32_t)n->dst_stride[loop];
    lanes_t bias = lanes_subtract(lanes_set(0), zero);
    if (n->bias_enable)
        bias = lanes_add(bias, lanes_load(m->bias[(n->bias_base + at.channel) & (BIAS_DEPTH - 1)] + first));
    for (uint32_t i = n->bound[loop]; i; i--) {
        lanes_t t = lanes_add(read_operand(m, form.a_in_acc, row, at.a, first), bias);
        if (rounding != ROUNDING_NONE)
            t = round_lanes(&part, rounding, t);
        if (residual)
            t = lanes_add(t, lanes_subtract(read_operand(m, b_in_acc, row, at.last_b, first), residual_zero));
        if (form.dst_in_acc)
            lanes_store(m->acc[row][at.dst & (ACC_DEPTH - 1)] + first, t);
        else
            operands_store(m->act[row] + (size_t)(at.dst & ACT_MASK) * GRANULE + (size_t)first,
                           lanes_add(lanes_min(lanes_max(t, low), high), offset));
        at.a += a_stride;
        at.last_b += b_stride;
        at.dst += dst_stride;
    }
}

static inline __attribute__((always_inline)) void run_lines(struct machine *m, const struct vector_nest *n, const struct form form,
                                                            const struct place *at, const struct scale_cell *scale, int loop)
{
    enum rounding rounding = rounding_of(n, scale);
    for (int row = 0; row < ROWS; row++)
        for (int first = 0; first < BLOCK_OUT && n->row_mask >> row & 1; first += LANES) {
            const struct scale_lanes part = scale->part[first / LANES];
            switch (rounding) {
            case ROUNDING_NONE: run_line(m, n, form, ROUNDING_NONE, row, first, *at, part, loop); break;
            case ROUNDING_ONCE: run_line(m, n, form, ROUNDING_ONCE, row, first, *at, part, loop); break;
            case ROUNDING_TWICE: run_line(m, n, form, ROUNDING_TWICE, row, first, *at, part, loop); break;
            case ROUNDING_MIXED: run_line(m, n, form, ROUNDING_MIXED, row, first, *at, part, loop); break;
            }
        }
}

/* All results, with `form` a constant. A cell's parts can be done one after another: no part reads another. */
static inline __attribute__((always_inline)) void run_results(struct machine *m, const struct vector_nest nest,
                                                              struct place begin, const struct form form)
{
    const struct vector_nest *n = &nest;
    uint32_t index[TW_VECTOR_DIMS] = {0}, held = n->scale_base & (SCALE_DEPTH - 1);
    int inner = n->results ? n->results - 1 : 0, changed;
    struct scale_cell scale;
    read_scale(m, held, &scale);
    do {
        struct place at = {
            address_of(begin.a, n->a_stride, index, inner), address_of(begin.b, n->b_stride, index, inner),
            address_of(begin.last_b, n->b_stride, index, inner), address_of(begin.dst, n->dst_stride, index, inner),
            address_of(begin.channel, n->channel_stride, index, inner),
        };
        if (form.single_step && n->results && !n->channel_stride[inner] && !n->table_enable) {
            uint32_t cell = (n->scale_base + (n->scale_shared ? 0 : at.channel)) & (SCALE_DEPTH - 1);
            if (n->scale_enable && cell != held)
                read_scale(m, held = cell, &scale);
            run_lines(m, n, form, &at, &scale, inner);
            continue;
        }
        for (uint32_t i = n->results ? n->bound[inner] : 1; i; i--) {
            uint32_t cell = (n->scale_base + (n->scale_shared ? 0 : at.channel)) & (SCALE_DEPTH - 1);
            if (n->scale_enable && cell != held)
                read_scale(m, held = cell, &scale);
            for (int row = 0; row < ROWS; row++)
                for (int first = 0; first < BLOCK_OUT && n->row_mask >> row & 1; first += LANES)
                    finish(m, n, form, row, first, &at, &scale, reduce(m, n, form, row, first, &at));
            at.a += (uint32_t)n->a_stride[inner];
            at.b += (uint32_t)n->b_stride[inner];
            at.last_b += (uint32_t)n->b_stride[inner];
            at.dst += (uint32_t)n->dst_stride[inner];
            at.channel += (uint32_t)n->channel_stride[inner];
        }
    } while (next_point(index, n->bound, inner, &changed));
}

/* Each form as a function, so that the compiler knows its nest to be its own. */
#define DEFINE_FORM(name, ...) \
    static void name(struct machine *m, const struct vector_nest *n, struct place begin) \
    { \
        run_results(m, *n, begin, (struct form){__VA_ARGS__}); \
    }
DEFINE_FORM(fill, TW_FUNCTION_ZERO, 0, 0, DYNAMIC)
DEFINE_FORM(act_to_act, TW_FUNCTION_SUM, 1, 0, 0)
DEFINE_FORM(act_to_acc, TW_FUNCTION_SUM, 1, 0, 1)
DEFINE_FORM(acc_to_act, TW_FUNCTION_SUM, 1, 1, 0)
DEFINE_FORM(acc_to_acc, TW_FUNCTION_SUM, 1, 1, 1)
DEFINE_FORM(sum, TW_FUNCTION_SUM, 0, DYNAMIC, DYNAMIC)
DEFINE_FORM(maximum, TW_FUNCTION_MAX, 0, DYNAMIC, DYNAMIC)
DEFINE_FORM(minimum, TW_FUNCTION_MIN, 0, DYNAMIC, DYNAMIC)
DEFINE_FORM(multiply_accumulate, TW_FUNCTION_MAC, 0, 0, DYNAMIC)

static void run_form(struct machine *m, const struct vector_nest *n, struct place begin)
{
    switch (n->function) {
    case TW_FUNCTION_ZERO: fill(m, n, begin); break;
    case TW_FUNCTION_MAX: maximum(m, n, begin); break;
    case TW_FUNCTION_MIN: minimum(m, n, begin); break;
    case TW_FUNCTION_MAC: multiply_accumulate(m, n, begin); break;
    default:
        if (n->steps > 1)
            sum(m, n, begin);
        else if (n->a_in_acc)
            (n->dst_in_acc ? acc_to_acc : acc_to_act)(m, n, begin);
        else
            (n->dst_in_acc ? act_to_acc : act_to_act)(m, n, begin);
    }
}

/* Leaves out loops that run once, so that the innermost loops are long. */
static void squeeze(struct vector_nest *n)
{
    int kept = 0, results = n->results;
    for (int d = 0; d < TW_VECTOR_DIMS; d++) {
        if (n->bound[d] == 1) {
            n->results -= d < results;
            continue;
        }
        n->bound[kept] = n->bound[d];
        n->a_stride[kept] = n->a_stride[d];
        n->b_stride[kept] = n->b_stride[d];
        n->dst_stride[kept] = n->dst_stride[d];
        n->channel_stride[kept++] = n->channel_stride[d];
    }
    for (; kept < TW_VECTOR_DIMS; kept++)
        n->bound[kept] = 1;
}

static void list_steps(struct vector_nest *n, struct window *window)
{
    int dims = TW_VECTOR_DIMS - n->results, changed;
    uint32_t index[TW_VECTOR_DIMS] = {0}, k = 0;
    n->steps = 1;
    n->window = window;
    for (int d = n->results; d < TW_VECTOR_DIMS; d++)
        n->steps *= n->bound[d];
    window->a[0] = window->b[0] = 0;
    if (n->steps == 1 || n->steps > WINDOW)
        return;
    do {
        window->a[k] = address_of(0, n->a_stride + n->results, index, dims);
        window->b[k++] = address_of(0, n->b_stride + n->results, index, dims);
    } while (next_point(index, n->bound + n->results, dims, &changed));
}

/* The place of the first result. */
static struct place first_place(const struct vector_nest *n, uint32_t a, uint32_t b, uint32_t dst)
{
    uint32_t last[TW_VECTOR_DIMS];
    int dims = TW_VECTOR_DIMS - n->results;
    for (int d = 0; d < dims; d++)
        last[d] = n->bound[n->results + d] - 1;
    return (struct place){
        .a = a, .b = b, .last_b = address_of(b, n->b_stride + n->results, last, dims),
        .dst = address_of(dst, n->dst_stride + n->results, last, dims),
        .channel = address_of(0, n->channel_stride + n->results, last, dims),
    };
}

void run_vector(struct machine *m, const uint8_t *raw)
{
    struct vector_nest n;
    n.function = tw_vector_function(raw);
    n.a_in_acc = tw_vector_a_memory(raw), n.b_in_acc = tw_vector_b_memory(raw);
    n.dst_in_acc = tw_vector_dst_memory(raw);
    n.residual = tw_vector_residual(raw), n.bias_enable = tw_vector_bias_enable(raw);
    n.scale_enable = tw_vector_scale_enable(raw), n.scale_shared = tw_vector_scale_shared(raw);
    n.table_enable = tw_vector_table_enable(raw), n.table = m->table + 256 * (tw_vector_table(raw) % TABLES);
    n.row_mask = tw_vector_row_mask(raw);
    n.bias_base = tw_vector_bias_base(raw), n.scale_base = tw_vector_scale_base(raw);
    n.a_zero = tw_vector_a_zero(raw) + (n.a_in_acc ? 0 : OPERAND_BIAS);
    n.residual_zero = n.b_in_acc ? 0 : OPERAND_BIAS;
    n.b_zero = tw_vector_b_zero(raw) + n.residual_zero;
    n.zero_point = tw_vector_zero_point(raw);
    n.minimum = tw_vector_minimum(raw), n.maximum = tw_vector_maximum(raw);
    memcpy(n.bound, (uint32_t[])TW_FIELDS5(raw, vector_bound), sizeof n.bound);
    memcpy(n.a_stride, (int32_t[])TW_FIELDS5(raw, vector_a_stride), sizeof n.a_stride);
    memcpy(n.b_stride, (int32_t[])TW_FIELDS5(raw, vector_b_stride), sizeof n.b_stride);
    memcpy(n.dst_stride, (int32_t[])TW_FIELDS5(raw, vector_dst_stride), sizeof n.dst_stride);
    memcpy(n.channel_stride, (int32_t[])TW_FIELDS5(raw, vector_channel_stride), sizeof n.channel_stride);
    n.results = TW_VECTOR_DIMS - (int)tw_vector_reduce(raw);
    struct window window;
    squeeze(&n);
    list_steps(&n, &window);
    run_form(m, &n, first_place(&n, tw_vector_a_base(raw), tw_vector_b_base(raw), tw_vector_dst_base(raw)));
}
