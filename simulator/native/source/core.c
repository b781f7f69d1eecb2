/* The core: fetches instructions, keeps the engines' queues and tokens, and runs what may run.
 *
 * The order is greedy: before each fetch the engines do all they can. Which instructions can ever run does not
 * depend on the order, and neither do the results of a program without races. */
#include "core.h"

#include <stdlib.h>
#include <time.h>

#include "overlap.h"
#include "rehearsal.h"

#define TOKEN_LIMIT ((1u << TOKEN_BITS) - 1)
#define NO_ENGINE TW_ENGINES
#define STEPS_PER_LOOK 16 /* at the clock */
#define HEAD_START 1e-4   /* seconds of a run before it is worth while to call the helper */

static int stop(struct core *core, uint32_t error, uint64_t index)
{
    core->outcome.error = error;
    core->outcome.index = (uint32_t)index;
    return 0;
}

static inline int clear_from(const uint8_t *raw, unsigned bit)
{
    unsigned word = bit / 64 * 8, left = TW_INSTRUCTION_BYTES - word;
    uint64_t words[TW_INSTRUCTION_BYTES / 8] = {0}, set;
    memcpy(words, raw + word, left);
    set = words[0] >> bit % 64;
    for (unsigned n = 1; n < left / 8; n++)
        set |= words[n];
    return !set;
}

static int bounds_positive(const uint32_t *bound, int dims)
{
    for (int d = 0; d < dims; d++)
        if (!bound[d])
            return 0;
    return 1;
}

static int legal_transfer(const uint8_t *raw, int is_load)
{
    uint32_t load_bound[] = TW_FIELDS4(raw, load_bound), store_bound[] = TW_FIELDS4(raw, store_bound);
    if (is_load)
        return clear_from(raw, TW_LOAD_RESERVED_POSITION) && bounds_positive(load_bound, TW_TRANSFER_DIMS) &&
               tw_load_memory(raw) <= TW_MEMORY_TABLE;
    uint32_t memory = tw_store_memory(raw);
    return clear_from(raw, TW_STORE_RESERVED_POSITION) && bounds_positive(store_bound, TW_TRANSFER_DIMS) &&
           (memory == TW_MEMORY_ACT || memory == TW_MEMORY_ACC);
}

static int legal_vector(const uint8_t *raw)
{
    uint32_t bound[] = TW_FIELDS5(raw, vector_bound), function = tw_vector_function(raw);
    if (!clear_from(raw, TW_VECTOR_RESERVED_POSITION) || !bounds_positive(bound, TW_VECTOR_DIMS) ||
        function > TW_FUNCTION_MAC || tw_vector_reduce(raw) > TW_VECTOR_DIMS)
        return 0;
    if (function == TW_FUNCTION_MAC && (tw_vector_a_memory(raw) || tw_vector_b_memory(raw)))
        return 0;
    return !(tw_vector_table_enable(raw) && tw_vector_dst_memory(raw));
}

/* The engine of an instruction, NO_ENGINE for FINISH, or -1 where it is illegal. */
static int engine_of(const uint8_t *raw)
{
    uint32_t gemm_bound[] = TW_FIELDS6(raw, gemm_bound);
    int engine = -1;
    switch (tw_finish_opcode(raw)) {
    case TW_OPCODE_FINISH: return clear_from(raw, TW_FINISH_RESERVED_POSITION) ? NO_ENGINE : -1;
    case TW_OPCODE_LOAD: engine = legal_transfer(raw, 1) ? TW_ENGINE_LOAD : -1; break;
    case TW_OPCODE_STORE: engine = legal_transfer(raw, 0) ? TW_ENGINE_STORE : -1; break;
    case TW_OPCODE_VECTOR: engine = legal_vector(raw) ? TW_ENGINE_VECTOR : -1; break;
    case TW_OPCODE_GEMM:
        if (clear_from(raw, TW_GEMM_RESERVED_POSITION) && bounds_positive(gemm_bound, TW_GEMM_DIMS))
            engine = TW_ENGINE_GEMM;
        break;
    case TW_OPCODE_SYNC:
        if (clear_from(raw, TW_SYNC_RESERVED_POSITION))
            engine = (int)tw_sync_engine(raw);
        break;
    default: break;
    }
    if (engine >= 0 && (tw_sync_wait(raw) | tw_sync_signal(raw)) >> engine & 1)
        return -1;
    return engine;
}

uint32_t core_execute(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    switch (tw_finish_opcode(raw)) {
    case TW_OPCODE_LOAD: return run_load(m, launch, raw);
    case TW_OPCODE_STORE: return run_store(m, launch, raw);
    case TW_OPCODE_GEMM: run_gemm(m, raw); break;
    case TW_OPCODE_VECTOR: run_vector(m, raw); break;
    default: break;
    }
    return TW_ERROR_NONE;
}

/* Gives the tokens of the instruction that has run, where there is room for all of them. */
static int retire(struct core *core, int e)
{
    struct engine *engine = &core->engine[e];
    if (!engine->ran)
        return 0;
    for (int to = 0; to < TW_ENGINES; to++)
        if (engine->signal >> to & 1 && core->tokens[e][to] == TOKEN_LIMIT)
            return 0;
    for (int to = 0; to < TW_ENGINES; to++)
        core->tokens[e][to] += engine->signal >> to & 1;
    engine->ran = 0;
    core->outcome.retired++;
    return 1;
}

/* Runs the head of a queue where its tokens are there. */
static int begin(struct core *core, int e)
{
    struct engine *engine = &core->engine[e];
    if (!engine->queued || engine->ran)
        return 0;
    struct entry *head = &engine->queue[engine->head];
    for (int from = 0; from < TW_ENGINES; from++)
        if (head->wait >> from & 1 && !core->tokens[from][e])
            return 0;
    for (int from = 0; from < TW_ENGINES; from++)
        core->tokens[from][e] -= head->wait >> from & 1;
    uint32_t error = core->rehearsal
                         ? rehearsal_note(core, e, head)
                         : core_execute(core->machine, &core->launch, head->raw);
    if (error)
        return stop(core, error, head->index);
    core->begun[e]++;
    engine->ran = 1;
    engine->index = head->index;
    engine->signal = head->signal;
    engine->head = (engine->head + 1) % QUEUE_DEPTH;
    engine->queued--;
    return 1;
}

/* Puts the next instruction into its queue; 0 where that is full, after FINISH, and at an error. */
static int fetch(struct core *core)
{
    const struct launch *launch = &core->launch;
    if (core->finished)
        return 0;
    if (core->next >= launch->count)
        return stop(core, TW_ERROR_PROGRAM_END, launch->count);
    uint64_t address = launch->program + core->next * TW_INSTRUCTION_BYTES;
    if (address < launch->dram_base || launch->dram_size < TW_INSTRUCTION_BYTES ||
        address - launch->dram_base > launch->dram_size - TW_INSTRUCTION_BYTES)
        return stop(core, TW_ERROR_BUS_READ, core->next);
    const uint8_t *raw = launch->dram + (address - launch->dram_base);
    __builtin_prefetch((const void *)((uintptr_t)raw + 2 * TW_INSTRUCTION_BYTES));
    int e = engine_of(raw);
    if (e < 0)
        return stop(core, TW_ERROR_ILLEGAL_INSTRUCTION, core->next);
    if (e == NO_ENGINE)
        return core->finished = 1;
    struct engine *engine = &core->engine[e];
    if (engine->queued == QUEUE_DEPTH)
        return 0;
    struct entry *entry = &engine->queue[(engine->head + engine->queued++) % QUEUE_DEPTH];
    memcpy(entry->raw, raw, TW_INSTRUCTION_BYTES);
    entry->wait = tw_sync_wait(raw);
    entry->signal = tw_sync_signal(raw);
    entry->index = (uint32_t)core->next++;
    return 1;
}

static uint32_t oldest_of(const struct core *core, int e)
{
    const struct engine *engine = &core->engine[e];
    uint32_t waiting = engine->queued ? engine->queue[engine->head].index : (uint32_t)core->next;
    return engine->ran ? engine->index : waiting;
}

void core_conclude(struct core *core)
{
    uint32_t oldest = (uint32_t)core->next;
    for (int e = 0; e < TW_ENGINES; e++)
        oldest = oldest_of(core, e) < oldest ? oldest_of(core, e) : oldest;
    if (oldest != core->next)
        stop(core, TW_ERROR_WATCHDOG, oldest);
}

int core_advance(struct core *core)
{
    int going = 0;
    for (int e = 0; e < TW_ENGINES && !core->outcome.error; e++)
        going |= retire(core, e) | begin(core, e);
    if (!going && !core->outcome.error)
        going = fetch(core);
    return going && !core->outcome.error;
}

double clock_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Takes a program, whatever became of the one before; 0 where there is no memory for it. */
int machine_begin(struct machine *m, const struct launch *launch)
{
    if (m->core)
        overlap_forget(m->core->overlap);
    else if (!(m->core = malloc(sizeof *m->core)))
        return 0;
    *m->core = (struct core){.machine = m, .launch = *launch};
    return 1;
}

static void report(struct core *core, struct outcome *outcome)
{
    *outcome = core->outcome;
    for (int e = 0; e < TW_ENGINES; e++)
        outcome->oldest[e] = oldest_of(core, e);
}

/* Whether two threads take over, `seconds` after this stretch began. */
static int hand_over(struct core *core, double seconds)
{
    int at_once = core->launch.overlap == OVERLAP_AT_ONCE;
    enum overlap_answer answer = OVERLAP_LATER;
    if (core->launch.overlap == OVERLAP_FORBIDDEN || (!at_once && seconds < HEAD_START))
        return 0;
    if (!core->overlap && !(core->overlap = overlap_prepare(core)))
        answer = OVERLAP_NEVER;
    else
        while ((answer = overlap_begin(core->overlap, core)) == OVERLAP_LATER && at_once)
            ;
    if (answer == OVERLAP_NEVER)
        core->launch.overlap = OVERLAP_FORBIDDEN;
    return core->overlapping = answer == OVERLAP_BEGUN;
}

/* On one thread, for so many seconds, or until two take over; whether there is more to do. */
static int continue_alone(struct core *core, double seconds)
{
    double begin = clock_seconds(), passed;
    int going, steps = 0, steps_per_look = core->launch.overlap == OVERLAP_AT_ONCE ? 1 : STEPS_PER_LOOK;
    while ((going = core_advance(core)))
        if (!(++steps % steps_per_look) &&
            ((passed = clock_seconds() - begin) > seconds || hand_over(core, passed)))
            break;
    if (!going && !core->outcome.error)
        core_conclude(core);
    if (!core->overlapping) {
        overlap_forget(core->overlap);
        core->overlap = NULL;
    }
    return going;
}

/* Goes on for about so many seconds; whether there is more to do. */
int machine_continue(struct machine *m, double seconds, struct outcome *outcome)
{
    struct core *core = m->core;
    double end = clock_seconds() + seconds;
    int going = core->overlapping || continue_alone(core, seconds);
    if (core->overlapping) {
        going = overlap_continue(core->overlap, end);
        overlap_report(core->overlap, outcome);
    } else {
        report(core, outcome);
    }
    return going;
}
