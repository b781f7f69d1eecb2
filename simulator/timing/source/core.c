/* The loop over units in order of time, and the interface to Python. */
#include <stdlib.h>
#include <string.h>

#include "timing.h"

#define API __attribute__((visibility("default")))

struct result {
    uint32_t error, index;
    uint64_t cycles, instructions, bytes_read, bytes_written;
    uint64_t busy[TW_ENGINES], token[TW_ENGINES], memory[TW_ENGINES], bank[TW_ENGINES];
};

API struct core *timing_create(void)
{
    struct core *core = calloc(1, sizeof *core);
    for (unsigned engine = 0; core && engine < TW_ENGINES; engine++) {
        core->engines[engine].kept = calloc(KEPT, sizeof(struct instruction));
        if (!core->engines[engine].kept)
            return NULL;
    }
    return core;
}

API void timing_destroy(struct core *core)
{
    for (unsigned engine = 0; engine < TW_ENGINES; engine++)
        free(core->engines[engine].kept);
    for (unsigned kind = 0; kind < STORE_SPANS; kind++)
        free(core->store_spans[kind].span);
    free(core);
}

static void reset(struct core *core, const struct settings *settings)
{
    struct instruction *kept[TW_ENGINES];
    struct spans spans[STORE_SPANS];
    memcpy(spans, core->store_spans, sizeof spans);
    for (unsigned engine = 0; engine < TW_ENGINES; engine++)
        kept[engine] = core->engines[engine].kept;
    memset(core, 0, sizeof *core);
    memcpy(core->store_spans, spans, sizeof spans);
    for (unsigned kind = 0; kind < STORE_SPANS; kind++)
        core->store_spans[kind].count = 0;
    core->settings = *settings;
    for (unsigned unit = 0; unit < UNITS; unit++)
        core->next[unit] = NEVER;
    for (unsigned engine = 0; engine < TW_ENGINES; engine++)
        core->engines[engine].kept = kept[engine];
    memset(core->token_taken, -1, sizeof core->token_taken);
    memset(core->token_given, -1, sizeof core->token_given);
    memset(core->vector.last_read, -1, sizeof core->vector.last_read);
    memset(core->vector.last_written, -1, sizeof core->vector.last_written);
    core->vector.last_issue = core->vector.last_write = LONG_AGO;
    core->reads.state = (struct read_state){LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO, LONG_AGO};
    core->fetch.word = settings->program_address / BUS_BYTES;
    core->fetch.left = settings->count * INSTRUCTION_BEATS;
    core->fetch.checked = NEVER;
    core->fetch.checked_before = core->fetch.dispatched_before = LONG_AGO;
    core->fetch.stop = NEVER;
    if (settings->count)
        reads_schedule(core, 0);
    else
        core->next[UNIT_FETCH] = 2;
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

static void run(struct core *core)
{
    for (;;) {
        cycle now = NEVER;
        for (unsigned unit = 0; unit < UNITS; unit++)
            now = MIN(now, core->next[unit]);
        if (now == NEVER)
            return;
        for (unsigned unit = 0; unit < UNITS; unit++)
            if (core->next[unit] <= now)
                call(core, unit, now);
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
            oldest = MIN(oldest, e->kept[e->popped % KEPT].index);
    }
    if (!core->error && oldest != core->fetch.next) {
        core->error = TW_ERROR_WATCHDOG;
        core->error_index = oldest;
    }
}

API void timing_run(struct core *core, const struct settings *settings, struct result *result)
{
    reset(core, settings);
    run(core);
    judge(core);
    settle_reads(core);
    *result = (struct result){.error = core->error, .index = core->error_index, .instructions = core->retired};
    result->bytes_read = (uint64_t)core->reads.beats * BUS_BYTES;
    result->bytes_written = (uint64_t)core->store.bytes;
    if (core->error)
        return;
    result->cycles = (uint64_t)fetch_finished(core);
    core->engines[TW_ENGINE_LOAD].bank = core->reads.blocked;
    core->engines[TW_ENGINE_LOAD].memory -= core->reads.moved + core->reads.blocked;
    int64_t stored = spans_union(core->store_spans, STORE_BLOCKED);
    core->engines[TW_ENGINE_STORE].bank = spans_union(core->store_spans, STORE_SPANS) - stored;
    core->engines[TW_ENGINE_STORE].memory -= stored + core->engines[TW_ENGINE_STORE].bank;
    core->engines[TW_ENGINE_VECTOR].bank = core->vector.stalls;
    for (unsigned engine = 0; engine < TW_ENGINES; engine++) {
        const struct engine *e = &core->engines[engine];
        result->busy[engine] = (uint64_t)e->busy;
        result->token[engine] = (uint64_t)e->token;
        result->memory[engine] = (uint64_t)e->memory;
        result->bank[engine] = (uint64_t)e->bank;
    }
}
