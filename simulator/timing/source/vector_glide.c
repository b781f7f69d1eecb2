/* Many cycles of the vector engine at once, where it is known beforehand that each is like the others. */
#include "vector.h"

#define LEAST_GLIDE 4

/* Writes every result that is ready before `end`; none of them waits. */
static void release_until(struct core *core, cycle end)
{
    struct vector_state *v = &core->vector;
    while (v->count && v->window[v->head % WINDOW].ready < end) {
        const struct pending_result first = v->window[v->head % WINDOW];
        struct log_entry entry = {first.ready, 1, 0, first.memory, first.bank};
        const struct pending_result *next = &first;
        do {
            if (next->last)
                completed(core, TW_ENGINE_VECTOR, v->completed++, next->ready);
            v->last_write = next->ready;
            entry.count++;
            v->head++;
            v->count--;
            next = &v->window[v->head % WINDOW];
        } while (v->count && next->ready < end && next->ready == v->last_write + 1 && next->memory == first.memory &&
                 next->bank == first.bank);
        vector_note(core, LOG_WRITE, entry);
    }
}

struct glide {
    int64_t points;
    int period;
    unsigned bank_a, bank_b, bank_dst;
};

/* Whether a step of the next `points`, one each `period` cycles, may need a result that is still on its way; those of
 * the same nest do not count where `own` is false. */
static bool may_wait_for(const struct vector_state *v, const struct place *place, unsigned memory, bool own,
                         const struct glide *glide)
{
    if (!v->count)
        return false;
    struct banking banking = banking_of(memory);
    cycle latest = v->window[(v->head + v->count - 1) % WINDOW].ready;
    int64_t low, high, before = (MAX(latest, v->time) - v->time) / glide->period + 1;
    place_range(place, &v->work->vector.nest, v->point, MIN(before, glide->points), &low, &high);
    if (low < 0 || high >= INT64_C(1) << banking.address_bits)
        low = 0, high = (INT64_C(1) << banking.address_bits) - 1;
    low >>= unit_shift(memory);
    high >>= unit_shift(memory);
    for (uint32_t n = 0; n < v->count; n++) {
        const struct pending_result *result = &v->window[(v->head + n) % WINDOW];
        int64_t unit = (result->key & ((1u << KEY_MEMORY_BIT) - 1)) >> KEY_PASS_BITS;
        if (result->memory == memory && low <= unit && unit <= high && (own || result->work != v->work))
            return true;
    }
    return false;
}

/* Whether results are written without a wait up to cycle `to`, new ones in `bank` included. */
static bool writes_freely(const struct core *core, const struct vector_work *work, unsigned bank, cycle to)
{
    const struct vector_state *v = &core->vector;
    uint32_t banks = work && work->dst_memory == TW_MEMORY_ACC ? 1u << bank : 0;
    if (v->count && v->window[v->head % WINDOW].ready < v->time)
        return false;
    for (uint32_t n = 0; n < v->count; n++) {
        const struct pending_result *result = &v->window[(v->head + n) % WINDOW];
        if (result->memory == TW_MEMORY_ACC)
            banks |= 1u << result->bank;
    }
    return !banks || !(gemm_banks(core, GEMM_WRITES_ACC, v->time, to) & banks);
}

/* The first cycle from `from` on, or else `to`, in which gemm reads from `bank`. */
static cycle free_until(const struct core *core, unsigned memory, unsigned bank, cycle from, cycle to)
{
    cycle until;
    while (from < to && !gemm_uses(core, gemm_read_port[memory], bank, from, &until))
        from = until;
    return MIN(from, to);
}

/* How far steps go on at an even pace, as far as banks and results on their way are concerned. */
static bool plan_glide(const struct core *core, struct glide *glide, cycle until)
{
    const struct vector_state *v = &core->vector;
    const struct vector_work *work = &v->work->vector;
    if (v->a_held || work->meets_itself || (work->b_last && !work->b_always))
        return false;
    int64_t result = v->point / work->reduced, points = work->nest.size[0] - v->point;
    int64_t run = bank_run(&work->result, &work->results, result, banking_of(work->dst_memory), &glide->bank_dst);
    points = MIN(points, (result + run) * work->reduced - v->point);
    if (work->a_needed) {
        run = bank_run(&work->a, &work->nest, v->point, banking_of(work->a_memory), &glide->bank_a);
        points = MIN(points, run);
    }
    if (work->b_always) {
        run = bank_run(&work->b, &work->nest, v->point, banking_of(work->b_memory), &glide->bank_b);
        points = MIN(points, run);
    }
    bool both = work->a_needed && work->b_always && work->a_memory == work->b_memory;
    glide->period = both && glide->bank_a == glide->bank_b ? 2 : 1;
    cycle end = MIN(until, v->time + points * glide->period);
    if (work->a_needed)
        end = free_until(core, work->a_memory, glide->bank_a, v->time, end);
    if (work->b_always)
        end = free_until(core, work->b_memory, glide->bank_b, v->time, end);
    glide->points = (end - v->time) / glide->period;
    end = v->time + glide->points * glide->period;
    if (glide->points < LEAST_GLIDE || !writes_freely(core, work, glide->bank_dst, end + VECTOR_LATENCY))
        return false;
    return !(work->a_needed && may_wait_for(v, &work->a, work->a_memory, !work->a_is_dst, glide)) &&
           !(work->b_always && may_wait_for(v, &work->b, work->b_memory, !work->b_is_dst, glide));
}

static void glide_results(struct core *core, const struct glide *glide, cycle end)
{
    struct vector_state *v = &core->vector;
    const struct vector_work *work = &v->work->vector;
    int64_t result = v->point / work->reduced, count = (v->point + glide->points) / work->reduced - result;
    cycle pace = work->reduced * glide->period;
    cycle ready = v->time + ((result + 1) * work->reduced - v->point) * glide->period - 1 + VECTOR_LATENCY;
    int64_t written = ready < end ? MIN(count, (end - 1 - ready) / pace + 1) : 0;
    release_until(core, end);
    if (written) {
        int32_t period = written > 1 ? (int32_t)pace : 1;
        vector_note(core, LOG_WRITE, (struct log_entry){ready, period, (int32_t)written, work->dst_memory,
                                                        (uint8_t)glide->bank_dst});
        v->last_write = ready + (written - 1) * pace;
    }
    struct steps steps;
    if (written < count)
        steps_seek(&steps, &work->result, &work->results, result + written);
    for (int64_t n = written; n < count; n++) {
        claim(v, (struct pending_result){.work = v->work, .ready = ready + n * pace,
                                         .key = key_of(work->dst_memory, steps.at, pass_of(work, steps.index)),
                                         .memory = work->dst_memory, .bank = (uint8_t)glide->bank_dst,
                                         .last = result + n + 1 == work->results.size[0]});
        steps_advance(&steps, &work->result, &work->results);
    }
}

/* Passes cycles in which nothing happens but that results are written. */
void stand_still(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    if (v->time >= until || !writes_freely(core, NULL, 0, until))
        return;
    release_until(core, until);
    v->stalls += until - v->time;
    v->time = until;
}

bool glide(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    const struct vector_work *work = &v->work->vector;
    struct glide glide = {0};
    if (!plan_glide(core, &glide, until))
        return false;
    cycle end = v->time + glide.points * glide.period;
    int32_t cycles = (int32_t)(end - v->time);
    if (work->a_needed)
        vector_note(core, LOG_A, (struct log_entry){v->time, 1, cycles, work->a_memory, (uint8_t)glide.bank_a});
    if (work->b_always)
        vector_note(core, LOG_B, (struct log_entry){v->time, 1, cycles, work->b_memory, (uint8_t)glide.bank_b});
    glide_results(core, &glide, end);
    v->stalls += glide.points * (glide.period - 1);
    v->point += glide.points;
    v->time = end;
    v->moved = v->point == work->nest.size[0] ? end - 1 - glide.period : end - 1;
    if (v->point == work->nest.size[0])
        finish_nest(core, end - 1);
    return true;
}

/* After a nest's last step: writes the results that are on their way, where none of them waits. */
bool write_out(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    if (!writes_freely(core, NULL, 0, until))
        return false;
    release_until(core, until);
    v->time = v->count ? until : v->last_write + 1;
    return true;
}
