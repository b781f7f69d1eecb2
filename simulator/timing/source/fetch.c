/* The instruction fetch: hw/prefetch.py, fetch.py. */
#include "timing.h"

#define PREFETCH_BURST MIN(BURST_BEATS, 2 * INSTRUCTION_BEATS)
#define PREFETCH_DEPTH MAX(PREFETCH_INSTRUCTIONS * INSTRUCTION_BEATS, PREFETCH_WORDS)
#define CHECKED_DEPTH (INSTRUCTION_BEATS > 1 ? 1 : 2)
#define QUEUE_MEMORY (QUEUE_DEPTH - 1)

/* Takes words into the assembler; `begin` bounds the first of an instruction. */
static void take_words(struct fetch *fetch, uint32_t instruction, cycle begin)
{
    uint32_t first = instruction * INSTRUCTION_BEATS;
    const uint32_t end = MIN(first + INSTRUCTION_BEATS, fetch->arrived_count);
    if (first >= end)
        return;
    if (first)
        begin = MAX(begin, fetch->took[(first - 1) % BEATS] + 1);
    for (uint32_t n = first; n < end; n++) {
        cycle at = MAX(begin, fetch->arrived[n % BEATS] + 2);
        fetch->took[n % BEATS] = at;
        begin = at + 1;
    }
    fetch->took_count = end;
}

/* Takes the words of an instruction, and finds when it comes before the judge, `judged_next`: after the one before it,
 * which does so at `judged_before` and leaves at `checked_before`. False where its words are not all known. */
static bool judge(struct fetch *fetch, uint32_t instruction, cycle judged_before, cycle checked_before)
{
    const uint32_t end = (instruction + 1) * INSTRUCTION_BEATS;
    take_words(fetch, instruction, INSTRUCTION_BEATS > 1 ? judged_before : checked_before);
    if (fetch->took_count < end)
        return false;
    cycle last = fetch->took[(end - 1) % BEATS];
    fetch->judged_next = INSTRUCTION_BEATS > 1 ? MAX(last + 1, checked_before) : last;
    return true;
}

/* The first cycle in which `next` may be handed on. */
static cycle handed_on(const struct fetch *fetch)
{
    return MAX(fetch->checked, fetch->dispatched_before) + 1;
}

/* Follows the program as far as what has arrived, and what was handed on, decide it. */
void fetch_refresh(struct core *core, cycle now)
{
    struct fetch *fetch = &core->fetch;
    fetch->checked = NEVER;
    if (fetch->stop < NEVER)
        return;
    const uint32_t next = fetch->next;
    if (!judge(fetch, next, fetch->judged_before, fetch->checked_before))
        return;
    fetch->judged = fetch->judged_next;
    fetch->checked = MAX(fetch->judged, CHECKED_DEPTH > 1 ? fetch->dispatched_earlier : fetch->dispatched_before) + 1;
    /* An assembler that is not needed holds nothing: the words go before the judge. */
    if (judge(fetch, next + 1, fetch->judged, fetch->checked)) {
        cycle free = fetch->judged_next;
        if (INSTRUCTION_BEATS == 1)
            free = MAX(free, fetch->dispatched_before) + 1;
        take_words(fetch, next + 2, free);
    }
    wake(core, UNIT_FETCH, MAX(handed_on(fetch), now));
}

/* Beats of the next burst. */
uint32_t fetch_burst(const struct fetch *fetch)
{
    return (uint32_t)MIN(fetch->left, PREFETCH_BURST - fetch->word % PREFETCH_BURST);
}

/* From when on it asks for a burst; NEVER where that is not known yet. */
cycle fetch_wants(const struct core *core)
{
    const struct fetch *fetch = &core->fetch;
    int64_t must_be_taken = (int64_t)fetch->asked + PREFETCH_BURST - PREFETCH_DEPTH;
    cycle at = MAX(FIRST_REQUEST, fetch->asked_at + 2);
    if (!fetch->left || must_be_taken > (int64_t)fetch->took_count)
        return NEVER;
    if (must_be_taken > 0)
        at = MAX(at, fetch->took[(must_be_taken - 1) % BEATS] + 2);
    return at < fetch->stop ? at : NEVER;
}

static unsigned engine_of(const uint8_t *raw)
{
    switch (raw[0] & 15) {
    case TW_OPCODE_LOAD:
        return TW_ENGINE_LOAD;
    case TW_OPCODE_STORE:
        return TW_ENGINE_STORE;
    case TW_OPCODE_GEMM:
        return TW_ENGINE_GEMM;
    case TW_OPCODE_VECTOR:
        return TW_ENGINE_VECTOR;
    default:
        return tw_sync_engine(raw);
    }
}

static bool queue_accepts(struct core *core, const struct engine *e, cycle now)
{
    if (e->queued < QUEUE_MEMORY)
        return true;
    uint32_t oldest = e->queued - QUEUE_MEMORY;
    if (e->popped < oldest)
        return false;
    if (e->visible[oldest % KEPT] <= now)
        return true;
    wake(core, UNIT_FETCH, e->visible[oldest % KEPT]);
    return false;
}

void fetch_unit(struct core *core, cycle now)
{
    struct fetch *fetch = &core->fetch;
    if (fetch->stop < NEVER)
        return;
    if (fetch->next == core->settings.count) {
        fail(core, TW_ERROR_PROGRAM_END, fetch->next);
        return;
    }
    if (handed_on(fetch) > now) {
        wake(core, UNIT_FETCH, handed_on(fetch));
        return;
    }
    const uint8_t *raw = core->settings.program + (size_t)fetch->next * TW_INSTRUCTION_BYTES;
    if ((raw[0] & 15) == TW_OPCODE_FINISH) {
        fetch->stop = now + 1;
        return;
    }
    const unsigned engine = engine_of(raw);
    struct engine *e = &core->engines[engine];
    if (!queue_accepts(core, e, now))
        return;
    struct instruction *instruction = kept(core, engine, e->queued);
    decode(instruction, raw, fetch->next);
    if (!instruction->legal) {
        fail(core, TW_ERROR_ILLEGAL_INSTRUCTION, fetch->next);
        return;
    }
    e->written[e->queued % KEPT] = now;
    if (e->popped == e->queued) {
        e->visible[e->queued % KEPT] = now + 2;
        wake(core, UNIT_FRONT + engine, now + 2);
    }
    e->queued++;
    fetch->next++;
    fetch->judged_before = fetch->judged;
    fetch->checked_before = fetch->checked;
    fetch->dispatched_earlier = fetch->dispatched_before;
    fetch->dispatched_before = now;
    fetch_refresh(core, now + 1);
    reads_schedule(core, now);
    if (fetch->next == core->settings.count)
        wake(core, UNIT_FETCH, now + 1);
}

/* The cycle in which the program has ended, once everything else has happened. */
cycle fetch_finished(const struct core *core)
{
    const struct fetch *fetch = &core->fetch;
    cycle at = fetch->stop, took = fetch->took_count ? fetch->took[(fetch->took_count - 1) % BEATS] : 0;
    for (uint32_t n = fetch->took_count; n < fetch->arrived_count; n++)
        took = MAX(MAX(took + 1, fetch->arrived[n % BEATS] + 2), fetch->stop);
    at = MAX(at, took + 1);
    for (unsigned engine = 0; engine < TW_ENGINES; engine++)
        at = MAX(at, core->engines[engine].last_retired + 1);
    return at;
}
