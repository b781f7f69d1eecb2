/* The loop over units in order of time, and the interface to Python. */
#include <string.h>

#include "timing.h"

#define API __attribute__((visibility("default")))

#ifdef ANY_SIZE
_Thread_local struct sizes sizes;

/* For what this thread runs next. */
API void timing_resize(const struct sizes *chosen)
{
    sizes = *chosen;
}
#endif

struct result {
    uint32_t error, index;
    uint64_t cycles, instructions, bytes_read, bytes_written;
    uint64_t busy[TW_ENGINES], token[TW_ENGINES], memory[TW_ENGINES], bank[TW_ENGINES];
};

API void timing_destroy(struct core *core)
{
    for (unsigned engine = 0; engine < TW_ENGINES; engine++)
        free(core->kept[engine]);
    spans_free(core->store_spans, STORE_SPANS);
    spans_free(core->engine_spans[0], TW_ENGINES * ENGINE_SPANS);
    free(core);
}

/* Null where there is no memory. */
API struct core *timing_create(void)
{
    struct core *core = calloc(1, sizeof *core);
    for (unsigned engine = 0; core && engine < TW_ENGINES; engine++) {
        core->kept[engine] = calloc(engine == TW_ENGINE_GEMM ? GEMM_KEPT : KEPT, sizeof(struct instruction));
        if (!core->kept[engine]) {
            timing_destroy(core);
            return NULL;
        }
    }
    return core;
}

static void reset(struct core *core, const struct settings *settings)
{
    memset(core, 0, offsetof(struct core, kept));
    spans_clear(core->store_spans, STORE_SPANS);
    spans_clear(core->engine_spans[0], TW_ENGINES * ENGINE_SPANS);
    core->settings = *settings;
    for (unsigned unit = 0; unit < UNITS; unit++)
        core->next[unit] = NEVER;
    memset(core->token_given, -1, sizeof core->token_given);
    memset(core->vector.last_read, -1, sizeof core->vector.last_read);
    memset(core->vector.last_written, -1, sizeof core->vector.last_written);
    core->vector.last_issue = core->vector.last_write = LONG_AGO;
    core->reads.state = (struct read_state){LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};
    core->fetch.word = settings->program_address / BUS_BYTES;
    core->fetch.left = settings->count * INSTRUCTION_BEATS;
    core->fetch.checked = core->fetch.stop = NEVER;
    core->fetch.asked_at = core->fetch.judged_before = LONG_AGO;
    core->fetch.checked_before = core->fetch.dispatched_before = core->fetch.dispatched_earlier = LONG_AGO;
    reads_schedule(core, 0);
    wake(core, UNIT_FETCH, FIRST_REQUEST);
}

static void call(struct core *core, unsigned unit, cycle now)
{
    core->next[unit] = NEVER;
    switch (unit) {
    case UNIT_VECTOR:
        vector_unit(core, now);
        break;
    case UNIT_FETCH:
        fetch_unit(core, now);
        break;
    case UNIT_READS:
        reads_unit(core, now);
        break;
    case UNIT_LOAD:
        load_unit(core, now);
        break;
    case UNIT_STORE:
        store_unit(core, now);
        break;
    default:
        if (unit < UNIT_FRONT + TW_ENGINES)
            front(core, unit - UNIT_FRONT, now);
        else
            back(core, unit - UNIT_BACK, now);
    }
}

/* Calls what is due, from unit `first` on. When the others are: earlier than that only where one was woken. */
static cycle pass(struct core *core, unsigned first, cycle now)
{
    cycle following = NEVER;
    for (unsigned unit = first; unit < UNITS; unit++)
        if (core->next[unit] <= now)
            call(core, unit, now);
        else if (unit != UNIT_READS)
            following = MIN(following, core->next[unit]);
    return following;
}

/* As long as only bursts are read, nobody else need be asked: most of what happens is that. */
static cycle pass_reads(struct core *core, cycle others)
{
    cycle now;
    while ((now = core->next[UNIT_READS]) < MIN(others, core->soonest)) {
        call(core, UNIT_READS, now);
        if (core->soonest <= now)
            pass(core, UNIT_READS + 1, now);
    }
    return MIN(now, MIN(others, core->soonest));
}

static void run(struct core *core)
{
    cycle now = 0;
    while (now < NEVER && !core->error) {
        core->soonest = NEVER;
        cycle others = pass(core, 0, now);
        now = pass_reads(core, others);
    }
}

/* A program that stands still before its end waits for a token that nobody gives. */
static void judge(struct core *core)
{
    uint32_t oldest = core->fetch.next;
    for (unsigned engine = 0; engine < TW_ENGINES; engine++) {
        const struct engine *e = &core->engines[engine];
        if (e->retired < e->popped)
            oldest = MIN(oldest, e->flights[e->retired % FLIGHTS].index);
        else if (e->popped < e->queued)
            oldest = MIN(oldest, kept(core, engine, e->popped)->index);
    }
    if (oldest != core->fetch.next)
        fail(core, TW_ERROR_WATCHDOG, oldest);
}

static void count(struct core *core, struct result *result)
{
    settle_reads(core);
    int64_t stored = spans_union(core->store_spans, STORE_BLOCKED);
    int64_t moved[TW_ENGINES] = {[TW_ENGINE_LOAD] = core->reads.moved, [TW_ENGINE_STORE] = stored};
    int64_t bank[TW_ENGINES] = {
        [TW_ENGINE_LOAD] = core->reads.blocked,
        [TW_ENGINE_VECTOR] = core->vector.stalls,
        [TW_ENGINE_STORE] = spans_union(core->store_spans, STORE_SPANS) - stored,
    };
    for (unsigned engine = 0; engine < TW_ENGINES; engine++) {
        const struct spans *spans = core->engine_spans[engine];
        int64_t works = spans_union(spans + ENGINE_WORKS, 1);
        bool transfers = engine == TW_ENGINE_LOAD || engine == TW_ENGINE_STORE;
        result->busy[engine] = (uint64_t)core->engines[engine].busy;
        result->token[engine] = (uint64_t)(spans_union(spans, ENGINE_SPANS) - works);
        result->memory[engine] = transfers ? (uint64_t)(works - moved[engine] - bank[engine]) : 0;
        result->bank[engine] = (uint64_t)bank[engine];
    }
    result->bytes_read = (uint64_t)core->reads.beats * BUS_BYTES;
    result->bytes_written = (uint64_t)core->store.bytes;
}

API void timing_run(struct core *core, const struct settings *settings, struct result *result)
{
    reset(core, settings);
    run(core);
    judge(core);
    *result = (struct result){.error = core->error, .index = core->error_index, .instructions = core->retired};
    if (core->error)
        return;
    result->cycles = (uint64_t)fetch_finished(core);
    count(core, result);
}
