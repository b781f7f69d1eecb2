/* The vector engine: steps, and the writes that follow them: hw/vector.py, vector_window.py.
 *
 * `glide` does many regular steps at once; where anything may keep one waiting, `one_cycle` looks at every cycle. */
#include "timing.h"

#define CHUNK 512               /* cycles decided at once: what may have to be decided again */
#define LEAST_GLIDE 4
#define KEY_PASS_BITS 6
#define KEY_MEMORY_BIT 30

static const enum gemm_port gemm_read_port[] = {GEMM_READS_ACT, GEMM_READS_ACC};

static unsigned unit_shift(unsigned memory)
{
    return memory == TW_MEMORY_ACT ? __builtin_ctz(BLOCK_OUT / GRANULE) : 0;
}

static uint32_t key_of(unsigned memory, int64_t address, uint32_t pass)
{
    uint32_t unit = (uint32_t)wrapped(address, banking_of(memory)) >> unit_shift(memory);
    return memory << KEY_MEMORY_BIT | unit << KEY_PASS_BITS | pass;
}

static void seek(struct vector_cursor *cursor, const struct instruction *instruction, int64_t point)
{
    const struct vector_work *work = &instruction->vector;
    *cursor = (struct vector_cursor){.work = instruction, .point = point, .in_result = point % work->reduced};
    cursor->a = work->a.base;
    cursor->b = work->b.base;
    cursor->dst = work->dst.base;
    for (int d = 0; d < work->nest.dims; d++) {
        int64_t index = point / work->nest.size[d + 1];
        point -= index * work->nest.size[d + 1];
        cursor->index[d] = (uint32_t)index;
        cursor->a += index * work->a.stride[d];
        cursor->b += index * work->b.stride[d];
        cursor->dst += index * work->dst.stride[d];
    }
}

static void advance(struct vector_cursor *cursor)
{
    const struct vector_work *work = &cursor->work->vector;
    cursor->point++;
    if (++cursor->in_result == work->reduced)
        cursor->in_result = 0;
    for (int d = work->nest.dims; d-- > 0;) {
        int64_t steps = 1;
        if (++cursor->index[d] == work->nest.bound[d]) {
            cursor->index[d] = 0;
            steps = 1 - (int64_t)work->nest.bound[d];
        }
        cursor->a += steps * work->a.stride[d];
        cursor->b += steps * work->b.stride[d];
        cursor->dst += steps * work->dst.stride[d];
        if (steps == 1)
            break;
    }
}

static uint32_t pass_of(const struct vector_work *work, const uint32_t *index)
{
    return work->nest.dims > TW_VECTOR_DIMS ? index[0] : 0;
}

static bool on_its_way(const struct vector_state *v, uint32_t key)
{
    for (uint32_t n = 0; n < v->count; n++)
        if (v->window[(v->head + n) % WINDOW].key == key)
            return true;
    return false;
}

static void claim(struct vector_state *v, struct pending_result result)
{
    v->window[(v->head + v->count++) % WINDOW] = result;
}

static void release(struct core *core, cycle at)
{
    struct vector_state *v = &core->vector;
    const struct pending_result *result = &v->window[v->head % WINDOW];
    vector_note(core, LOG_WRITE, (struct log_entry){at, 1, 1, result->memory, result->bank});
    v->last_write = at;
    if (result->last)
        completed(core, TW_ENGINE_VECTOR, v->completed++, at);
    v->head++;
    v->count--;
}

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

static void finish_nest(struct core *core, cycle last_issue)
{
    struct engine *e = &core->engines[TW_ENGINE_VECTOR];
    core->vector.work = NULL;
    core->vector.last_issue = last_issue;
    e->walked[(e->nests - 1) % FLIGHTS] = last_issue;
}

static void write_cycle(struct core *core, cycle now, uint32_t waiting)
{
    struct vector_state *v = &core->vector;
    if (!waiting || v->window[v->head % WINDOW].ready > now)
        return;
    const struct pending_result *oldest = &v->window[v->head % WINDOW];
    cycle until;
    if (oldest->memory == TW_MEMORY_ACC && gemm_uses(core, GEMM_WRITES_ACC, oldest->bank, now, &until))
        return;
    release(core, now);
}

/* Otherwise sets `*until`: the bank is not free before. */
static bool can_read(const struct core *core, unsigned memory, unsigned bank, cycle now, cycle *until)
{
    cycle change;
    bool taken = gemm_uses(core, gemm_read_port[memory], bank, now, &change);
    if (taken)
        *until = change;
    return !taken;
}

/* Whether the step under the cursor goes on in this cycle; reads are noted. Where gemm keeps it waiting, it does so at
 * least until cycle `*until`. */
static bool try_step(struct core *core, cycle now, cycle *until)
{
    struct vector_state *v = &core->vector;
    const struct vector_cursor *at = &core->cursor;
    const struct vector_work *work = &v->work->vector;
    uint32_t pass = pass_of(work, at->index);
    *until = now;
    if (v->count == VECTOR_WINDOW)
        return false;
    uint8_t bank_a = (uint8_t)bank_of(at->a, banking_of(work->a_memory));
    uint8_t bank_b = (uint8_t)bank_of(at->b, banking_of(work->b_memory));
    bool b_needed = work->b_always || (work->b_last && at->in_result == work->reduced - 1);
    bool a_now = false, b_now = false;
    if (work->a_needed && !v->a_held && !on_its_way(v, key_of(work->a_memory, at->a, pass)))
        a_now = can_read(core, work->a_memory, bank_a, now, until);
    bool a_have = v->a_held || !work->a_needed || a_now;
    bool same = a_now && work->a_memory == work->b_memory && bank_a == bank_b;
    if (b_needed && a_have && !same && !on_its_way(v, key_of(work->b_memory, at->b, pass)))
        b_now = can_read(core, work->b_memory, bank_b, now, until);
    if (a_now)
        vector_note(core, LOG_A, (struct log_entry){now, 1, 1, work->a_memory, bank_a});
    if (b_now)
        vector_note(core, LOG_B, (struct log_entry){now, 1, 1, work->b_memory, bank_b});
    bool issue = a_have && (!b_needed || b_now);
    v->a_held = !issue && (v->a_held || a_now);
    return issue;
}

/* The cycle up to which nothing else happens but that results are written. */
static cycle one_cycle(struct core *core)
{
    struct vector_state *v = &core->vector;
    const cycle now = v->time++;
    const uint32_t waiting = v->count;
    bool issue = false;
    cycle until = now;
    if (v->work && now >= v->begins) {
        if (core->cursor.work != v->work || core->cursor.point != v->point)
            seek(&core->cursor, v->work, v->point);
        issue = try_step(core, now, &until);
        v->stalls += !issue;
    }
    write_cycle(core, now, waiting);
    if (!issue)
        return until;
    const struct vector_work *work = &v->work->vector;
    struct vector_cursor *at = &core->cursor;
    bool last = ++v->point == work->nest.size[0];
    if (at->in_result == work->reduced - 1)
        claim(v, (struct pending_result){.work = v->work, .ready = now + VECTOR_LATENCY,
                                         .key = key_of(work->dst_memory, at->dst, pass_of(work, at->index)),
                                         .memory = work->dst_memory,
                                         .bank = (uint8_t)bank_of(at->dst, banking_of(work->dst_memory)),
                                         .last = last});
    if (last)
        finish_nest(core, now);
    else
        advance(at);
    return now;
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
static void stand_still(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    if (v->time >= until || !writes_freely(core, NULL, 0, until))
        return;
    release_until(core, until);
    v->stalls += until - v->time;
    v->time = until;
}

static bool glide(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    const struct vector_work *work = &v->work->vector;
    struct glide glide = {0};
    if (!plan_glide(core, &glide, until))
        return false;
    cycle end = v->time + glide.points * glide.period;
    int32_t points = (int32_t)glide.points, period = glide.period;
    if (work->a_needed)
        vector_note(core, LOG_A, (struct log_entry){v->time, period, points, work->a_memory, (uint8_t)glide.bank_a});
    if (work->b_always)
        vector_note(core, LOG_B, (struct log_entry){v->time + period - 1, period, points, work->b_memory,
                                                    (uint8_t)glide.bank_b});
    glide_results(core, &glide, end);
    v->stalls += glide.points * (period - 1);
    v->point += glide.points;
    v->time = end;
    if (v->point == work->nest.size[0])
        finish_nest(core, end - 1);
    return true;
}

/* Decides cycles before `until`, but no further than the end of a nest. */
static void simulate(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    bool walking = v->work;
    while (v->time < until && (v->work || v->count) && !(walking && !v->work)) {
        if (v->work && v->time >= v->begins && glide(core, until))
            continue;
        if (!v->work && writes_freely(core, NULL, 0, until)) {
            release_until(core, until);
            v->time = v->count ? until : v->last_write + 1;
            continue;
        }
        cycle waits = one_cycle(core);
        if (waits > v->time)
            stand_still(core, MIN(waits, until));
    }
}

static void show(struct core *core, cycle now)
{
    struct vector_state *v = &core->vector;
    struct engine *e = &core->engines[TW_ENGINE_VECTOR];
    e->free_at = v->work ? NEVER : v->last_issue;
    if (!v->work)
        wake(core, UNIT_FRONT + TW_ENGINE_VECTOR, MAX(now, v->last_issue));
    core->next[UNIT_VECTOR] = v->work || v->count ? v->time : NEVER;
}

void vector_unit(struct core *core, cycle now)
{
    core->vector_before = core->vector;
    if (core->vector.time < now)
        core->vector.time = now;
    simulate(core, core->vector.time + CHUNK);
    show(core, now);
}

/* Forgets what was decided for cycle `from` and later. */
void vector_recall(struct core *core, cycle from)
{
    struct vector_state *v = &core->vector;
    if (v->time <= from || !(v->work || v->count || v->last_write >= from || v->last_issue >= from))
        return;
    *v = core->vector_before;
    core->engines[TW_ENGINE_VECTOR].completed = v->completed;
    simulate(core, from);
    show(core, from - 1);
    for (unsigned memory = TW_MEMORY_ACT; memory <= TW_MEMORY_ACC; memory++) {
        load_recall(core, memory, ~0u, from);
        store_recall(core, memory, ~0u, from);
    }
}

/* Everything that it does before this cycle is in the log. */
cycle vector_decided(const struct core *core)
{
    return core->vector.work || core->vector.count ? core->vector.time : NEVER;
}

void vector_start(struct core *core, const struct instruction *instruction, cycle now)
{
    struct vector_state *v = &core->vector;
    vector_recall(core, now + 1);
    simulate(core, now + 1);
    v->time = v->begins = now + 1;
    v->work = instruction;
    v->point = 0;
    core->vector_before = *v;
    show(core, now);
    for (unsigned memory = TW_MEMORY_ACT; memory <= TW_MEMORY_ACC; memory++) {
        const struct vector_work *work = &instruction->vector;
        if (work->write_banks[memory])
            load_recall(core, memory, work->write_banks[memory], now + 1);
        if (work->read_banks[memory])
            store_recall(core, memory, work->read_banks[memory], now + 1);
    }
}
