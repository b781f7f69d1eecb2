/* Queues, tokens, starts and retirements: hw/queue.py, tokens.py, sequencer.py. */
#include "timing.h"

/* The queue of retirements has an output register, which counts as one of its places. */
#define RETIRE_MEMORY (SEQUENCER_IN_FLIGHT - 1)

/* Tokens are taken in the cycle before `now`, in the earliest case that in which they are given: now they count. */
static bool take_tokens(struct core *core, unsigned engine, const struct instruction *head, cycle now)
{
    for (unsigned from = 0; from < TW_ENGINES; from++) {
        uint32_t held = core->tokens[from][engine] - (core->token_given[from][engine] == now);
        if (head->wait >> from & 1 && !held) {
            if (core->tokens[from][engine])
                wake(core, UNIT_FRONT + engine, now + 1);
            return false;
        }
    }
    for (unsigned from = 0; from < TW_ENGINES; from++)
        if (head->wait >> from & 1) {
            core->tokens[from][engine]--;
            wake(core, UNIT_BACK + from, now);
        }
    return true;
}

static void start_nest(struct core *core, unsigned engine, const struct instruction *head, cycle now)
{
    struct engine *e = &core->engines[engine];
    const uint32_t nest = e->nests++;
    switch (engine) {
    case TW_ENGINE_LOAD:
        e->free_at = NEVER;
        walk_start(&core->load_walk, head, nest, now);
        walk_advance(core, &core->load_walk, engine);
        reads_schedule(core, now);
        break;
    case TW_ENGINE_STORE:
        e->free_at = NEVER;
        walk_start(&core->store_walk, head, nest, now);
        walk_advance(core, &core->store_walk, engine);
        wake(core, UNIT_STORE, now + 1);
        break;
    case TW_ENGINE_GEMM:
        gemm_start(core, head, nest, now);
        break;
    default:
        vector_start(core, head, now);
    }
}

static void start(struct core *core, unsigned engine, const struct instruction *head, cycle now)
{
    struct engine *e = &core->engines[engine];
    const bool sync = head->opcode == TW_OPCODE_SYNC, first = e->retired == e->popped;
    e->flights[e->popped % FLIGHTS] = (struct flight){
        .started = now, .shown = first ? now + 2 : NEVER, .index = head->index, .nest = e->nests,
        .signal = head->signal, .sync = sync};
    if (core->settings.started)
        core->settings.started[head->index] = (uint64_t)now;
    e->acquired = false;
    e->popped++;
    if (e->queued > e->popped)
        e->visible[e->popped % KEPT] = MAX(e->written[e->popped % KEPT], now) + 2;
    wake(core, UNIT_FETCH, now + 1);
    wake(core, UNIT_BACK + engine, now + 2);
    if (!sync)
        start_nest(core, engine, head, now);
}

void front(struct core *core, unsigned engine, cycle now)
{
    struct engine *e = &core->engines[engine];
    unsigned unit = UNIT_FRONT + engine;
    if (e->queued == e->popped)
        return;
    const struct instruction *head = kept(core, engine, e->popped);
    cycle visible = e->visible[e->popped % KEPT];
    if (visible > now) {
        wake(core, unit, visible);
        return;
    }
    if (!e->acquired && head->wait) {
        if (visible == now) {
            wake(core, unit, now + 1);
            return;
        }
        if (!take_tokens(core, engine, head, now))
            return;
        e->acquired = true;
        spans_add(&core->engine_spans[engine][ENGINE_ACQUIRES], visible, now - 2);
    }
    uint32_t in_flight = e->popped - e->retired;
    if (in_flight > RETIRE_MEMORY)
        return;
    if (in_flight == RETIRE_MEMORY) {
        cycle room = e->flights[e->retired % FLIGHTS].shown;
        if (room > now) {
            wake(core, unit, room);
            return;
        }
    }
    if (head->opcode != TW_OPCODE_SYNC && e->free_at > now) {
        if (e->free_at < NEVER)
            wake(core, unit, e->free_at);
        return;
    }
    start(core, engine, head, now);
    if (e->queued > e->popped)
        wake(core, unit, MAX(e->visible[e->popped % KEPT], now + 1));
}

void completed(struct core *core, unsigned engine, uint32_t nest, cycle at)
{
    struct engine *e = &core->engines[engine];
    e->complete[nest % FLIGHTS] = at;
    e->completed = MAX(e->completed, nest + 1);
    wake(core, UNIT_BACK + engine, at + 1);
}

static bool give_tokens(struct core *core, unsigned engine, unsigned signal, cycle now)
{
    const uint32_t most = (1u << TOKEN_BITS) - 1;
    for (unsigned to = 0; to < TW_ENGINES; to++)
        if (signal >> to & 1 && core->tokens[engine][to] >= most)
            return false;
    for (unsigned to = 0; to < TW_ENGINES; to++)
        if (signal >> to & 1) {
            core->tokens[engine][to]++;
            core->token_given[engine][to] = now;
            wake(core, UNIT_FRONT + to, now + 1);
        }
    return true;
}

static void count_retired(struct core *core, unsigned engine, const struct flight *flight, cycle visible, cycle now)
{
    struct engine *e = &core->engines[engine];
    e->busy += now + 1 - MAX(visible, e->idle_from);
    e->idle_from = now + 1;
    e->last_retired = now;
    if (!flight->sync) {
        bool steps = engine == TW_ENGINE_GEMM || engine == TW_ENGINE_VECTOR;
        cycle last = steps ? e->walked[flight->nest % FLIGHTS] : e->complete[flight->nest % FLIGHTS];
        spans_add(&core->engine_spans[engine][ENGINE_WORKS], flight->started + 1, last);
    }
    if (core->settings.retired)
        core->settings.retired[flight->index] = (uint64_t)now;
    core->retired++;
}

void back(struct core *core, unsigned engine, cycle now)
{
    struct engine *e = &core->engines[engine];
    unsigned unit = UNIT_BACK + engine;
    if (e->retired == e->popped)
        return;
    struct flight *flight = &e->flights[e->retired % FLIGHTS];
    cycle ready = flight->shown;
    if (!flight->sync) {
        if (flight->nest >= e->completed)
            return;
        ready = MAX(ready, e->complete[flight->nest % FLIGHTS] + 1);
    }
    if (ready > now) {
        wake(core, unit, ready);
        return;
    }
    if (!give_tokens(core, engine, flight->signal, now)) {
        if (!e->refused)
            e->refused = now;
        return;
    }
    if (e->refused)
        spans_add(&core->engine_spans[engine][ENGINE_RELEASES], e->refused, now - 1);
    e->refused = 0;
    count_retired(core, engine, flight, e->visible[e->retired % KEPT], now);
    e->retired++;
    if (e->retired < e->popped) {
        struct flight *following = &e->flights[e->retired % FLIGHTS];
        following->shown = MAX(following->started, now) + 2;
        wake(core, unit, following->shown);
    }
    wake(core, UNIT_FRONT + engine, now + 1);
}
