/* The vector engine: steps, and the writes that follow them: hw/vector.py, vector_window.py.
 *
 * `glide` does many regular steps at once; where anything may keep one waiting, `one_cycle` looks at every cycle. */
#include "vector.h"

#define CHUNK 512               /* cycles decided at once: what may have to be decided again */

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

static bool on_its_way(const struct vector_state *v, uint32_t key)
{
    for (uint32_t n = 0; n < v->count; n++)
        if (v->window[(v->head + n) % WINDOW].key == key)
            return true;
    return false;
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

static bool needs_b(const struct vector_work *work, const struct vector_cursor *at)
{
    return work->b_always || (work->b_last && at->in_result == work->reduced - 1);
}

/* The step under the cursor is there for `count` cycles, in which no other engine but gemm reads from its banks. */
static void keep_banks(struct core *core, cycle first, int32_t count)
{
    const struct vector_cursor *at = &core->cursor;
    const struct vector_work *work = &core->vector.work->vector;
    uint8_t bank_a = (uint8_t)bank_of(at->a, banking_of(work->a_memory));
    uint8_t bank_b = (uint8_t)bank_of(at->b, banking_of(work->b_memory));
    if (work->a_needed)
        vector_note(core, LOG_A, (struct log_entry){first, 1, count, work->a_memory, bank_a});
    if (needs_b(work, at))
        vector_note(core, LOG_B, (struct log_entry){first, 1, count, work->b_memory, bank_b});
}

/* Whether the step under the cursor goes on in this cycle. Where gemm keeps it waiting, it does so at least until cycle
 * `*until`. */
static bool try_step(struct core *core, cycle now, cycle *until)
{
    struct vector_state *v = &core->vector;
    const struct vector_cursor *at = &core->cursor;
    const struct vector_work *work = &v->work->vector;
    uint32_t pass = pass_of(work, at->index);
    uint8_t bank_a = (uint8_t)bank_of(at->a, banking_of(work->a_memory));
    uint8_t bank_b = (uint8_t)bank_of(at->b, banking_of(work->b_memory));
    bool b_needed = needs_b(work, at);
    *until = now;
    keep_banks(core, now, 1);
    if (v->count == VECTOR_WINDOW)
        return false;
    bool a_now = false, b_now = false;
    if (work->a_needed && !v->a_held && !on_its_way(v, key_of(work->a_memory, at->a, pass)))
        a_now = can_read(core, work->a_memory, bank_a, now, until);
    bool a_have = v->a_held || !work->a_needed || a_now;
    bool same = a_now && work->a_memory == work->b_memory && bank_a == bank_b;
    if (b_needed && a_have && !same && !on_its_way(v, key_of(work->b_memory, at->b, pass)))
        b_now = can_read(core, work->b_memory, bank_b, now, until);
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
    if (v->work && now > v->moved) {
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
    if (last) {
        finish_nest(core, now);
    } else {
        v->moved = now;
        advance(at);
    }
    return now;
}

/* Decides cycles before `until`, but no further than the end of a nest. */
static void simulate(struct core *core, cycle until)
{
    struct vector_state *v = &core->vector;
    const bool walking = v->work, stepwise = core->settings.stepwise;
    while (v->time < until && (v->work || v->count) && !(walking && !v->work)) {
        if (v->work && v->time > v->moved && !stepwise && glide(core, until))
            continue;
        if (!v->work && !stepwise && write_out(core, until))
            continue;
        cycle waits = one_cycle(core);
        if (waits > v->time && !stepwise) {
            cycle from = v->time;
            stand_still(core, MIN(waits, until));
            if (v->time > from)
                keep_banks(core, from, (int32_t)(v->time - from));
        }
    }
}

/* The next nest may start when the last step of the one before has come to where it asks. */
static bool may_follow(const struct vector_state *v)
{
    return !v->work || (!v->following && v->point == v->work->vector.nest.size[0] - 1);
}

static void show(struct core *core, cycle now)
{
    struct vector_state *v = &core->vector;
    struct engine *e = &core->engines[TW_ENGINE_VECTOR];
    e->free_at = may_follow(v) ? v->moved : NEVER;
    if (e->free_at < NEVER)
        wake(core, UNIT_FRONT + TW_ENGINE_VECTOR, MAX(now, e->free_at));
    wake_only(core, UNIT_VECTOR, v->work || v->count ? v->time : NEVER);
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
    v->time = now + 1;
    if (v->work) {
        v->following = instruction;
        v->following_shown = now + 1;
    } else {
        v->work = instruction;
        v->point = 0;
        v->moved = now + 1;
    }
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
