/* DRAM reads, from the request to the cell: hw/port.py, load.py, steps.py, and an AXI memory of fixed latency.
 *
 * The bus carries one word a cycle, bursts in the order in which they were asked for; two words wait between it and
 * their readers. The load engine takes a step (a word, or the part of one that is a cell) in a cycle and writes it in
 * the next, or later where its bank is not free; two steps may wait for that. */
#include "timing.h"

/* Whether a write must wait in cycle `at`; up to cycle `*until` (at least the next) that stays so. */
static bool bank_taken(const struct core *core, unsigned memory, unsigned bank, cycle at, cycle *until)
{
    cycle gemm_until = NEVER;
    if (memory == TW_MEMORY_ACC && gemm_uses(core, GEMM_WRITES_ACC, bank, at, until))
        return true;
    if (memory == TW_MEMORY_ACC)
        gemm_until = *until;
    if (vector_writes(core, memory, bank, at, until))
        return true;
    *until = MIN(*until, gemm_until);
    return false;
}

/* Steps that lie in words before word `beat` of a burst. */
static uint32_t steps_before(const struct burst *burst, uint32_t beat)
{
    return beat ? burst->first_steps + (beat - 1) * burst->step_rate : 0;
}

/* The last word's cycle on the bus: each has room once the last but one before it was taken. */
static cycle last_on_bus(cycle first, uint32_t beats, cycle taken, cycle third_last_taken)
{
    if (beats == 1)
        return first;
    return MAX(first + beats - 1, (beats == 2 ? taken : third_last_taken) + 1);
}

static void read_program(struct core *core, struct open_read *open, struct read_state *state, cycle first)
{
    struct fetch *fetch = &core->fetch;
    uint32_t beats = open->burst.beats;
    cycle taken = MAX(first, state->taken) + 1;
    for (uint32_t n = 0; n < beats; n++)
        fetch->arrived[(open->first_beat + n) % BEATS] = taken + n;
    state->on_bus = last_on_bus(first, beats, state->taken, taken + beats - 3);
    state->taken_before = beats > 1 ? taken + beats - 2 : state->taken;
    open->write = state->taken = taken + beats - 1;
}

static void read_evenly(struct open_read *open, struct read_state *state, cycle first, cycle step)
{
    const struct burst *burst = &open->burst;
    uint32_t beats = burst->beats;
    cycle third_last = beats > 2 ? step + steps_before(burst, beats - 2) - 1 : 0;
    state->on_bus = last_on_bus(first, beats, state->taken, third_last);
    state->taken_before = beats > 1 ? step + steps_before(burst, beats - 1) - 1 : state->taken;
    state->step = state->taken = step + burst->steps - 1;
    state->write_before = burst->steps > 1 ? state->step : state->write;
    state->write = state->turn = state->step + 1;
    open->moved += burst->steps;
}

/* Step by step. `bus` is when the first word comes, `step` when its first step can be taken. */
static void read_carefully(struct core *core, struct open_read *open, struct read_state *state, cycle bus, cycle step)
{
    const struct burst *burst = &open->burst;
    const struct transfer_work *work = &burst->work->transfer;
    uint32_t beat_ends = burst->first_steps;
    int64_t run_ends = 0;
    unsigned bank = 0;
    const bool shared = work->memory <= TW_MEMORY_ACC;
    cycle free_until = NEVER;
    for (uint32_t k = 0; k < burst->steps; k++) {
        if (shared && k == run_ends) {
            run_ends += step_run(work, burst->first_step + k, &bank);
            free_until = load_meets(core, work->memory, 1u << bank, step + 1) ? 0 : NEVER;
        }
        cycle turn = MAX(step, state->write) + 1, write = turn;
        while (write >= free_until && bank_taken(core, work->memory, bank, write, &free_until))
            write = free_until;
        open->moved += 1 + (k && state->write != step);
        open->blocked += write - turn - (k && state->turn <= step && step < state->write);
        state->step = step;
        state->write_before = state->write;
        state->write = write;
        state->turn = turn;
        if (k + 1 == beat_ends) {
            cycle word_taken = state->taken;
            state->taken_before = word_taken;
            state->taken = step;
            beat_ends += burst->step_rate;
            if (k + 1 < burst->steps)
                bus = MAX(bus, word_taken) + 1;
        }
        step = MAX(MAX(step, state->write_before), bus) + 1;
    }
    if (beat_ends - burst->step_rate != burst->steps) { /* the last word holds something else too */
        state->taken_before = state->taken;
        state->taken = state->step;
    }
    state->on_bus = bus;
}

/* Decides when the words of a burst come and what becomes of them, after everything asked for before. */
static void plan(struct core *core, struct open_read *open)
{
    struct reads *reads = &core->reads;
    struct read_state *state = &reads->state;
    open->before = *state;
    open->moved = open->blocked = 0;
    cycle first = MAX(open->asked + 1 + (cycle)core->settings.latency, MAX(state->on_bus, state->taken_before) + 1);
    if (open->fetch) {
        read_program(core, open, state, first);
    } else {
        cycle step = MAX(MAX(first, state->taken), MAX(state->step, state->write_before)) + 1;
        open->moved += state->write > 0 && state->write != step;
        open->blocked -= state->turn <= step && step < state->write;
        unsigned memory = open->burst.work->transfer.memory;
        bool shared = memory <= TW_MEMORY_ACC;
        if (state->write > step || (shared && load_meets(core, memory, open->banks, step + 1)))
            read_carefully(core, open, state, first, step);
        else
            read_evenly(open, state, first, step);
        if (shared && vector_decided(core) <= state->write && vector_may_write(core, memory, open->banks, step + 1))
            wake(core, UNIT_LOAD, vector_decided(core));
        open->write = state->write;
        if (open->burst.last)
            completed(core, TW_ENGINE_LOAD, open->burst.nest, open->write);
    }
    open->on_bus = state->on_bus;
}

static void settle(struct reads *reads, cycle now)
{
    while (reads->flying != reads->tail && reads->open[reads->flying % OPEN_READS].on_bus < now)
        reads->flying++;
    while (reads->head != reads->flying && reads->open[reads->head % OPEN_READS].write < now) {
        const struct open_read *open = &reads->open[reads->head++ % OPEN_READS];
        reads->moved += open->moved;
        reads->blocked += open->blocked;
    }
}

static cycle load_wants(const struct core *core)
{
    const struct walk *walk = &core->load_walk;
    return walk_has_burst(walk) ? walk_pushed(walk) + 1 : NEVER;
}

void reads_schedule(struct core *core, cycle now)
{
    struct reads *reads = &core->reads;
    cycle at = MIN(fetch_wants(core), load_wants(core));
    settle(reads, now);
    if (at < NEVER) {
        at = MAX(at, reads->asked + 1);
        if (reads->tail - reads->flying >= READS_OUTSTANDING)
            at = MAX(at, reads->open[reads->flying % OPEN_READS].on_bus + 1);
        at = MAX(at, now);
    }
    core->next[UNIT_READS] = at;
}

void reads_unit(struct core *core, cycle now)
{
    struct reads *reads = &core->reads;
    settle(reads, now);
    bool fetch = fetch_wants(core) <= now, load = !fetch && load_wants(core) <= now;
    bool room = reads->tail - reads->flying < READS_OUTSTANDING && reads->asked < now;
    if (room && (fetch || load)) {
        struct open_read *open = &reads->open[reads->tail++ % OPEN_READS];
        reads->asked = open->asked = now;
        open->fetch = fetch;
        if (fetch) {
            struct fetch *program = &core->fetch;
            open->burst.beats = fetch_burst(program);
            open->first_beat = program->asked;
            program->asked_at = now;
            program->asked += open->burst.beats;
            program->word += open->burst.beats;
            program->left -= open->burst.beats;
            program->arrived_count = program->asked;
        } else {
            const struct burst *burst = walk_burst(&core->load_walk);
            open->burst = *burst;
            open->banks = burst_banks(burst);
        }
        reads->beats += open->burst.beats;
        plan(core, open);
        if (fetch)
            fetch_refresh(core, now);
        else
            walk_asked(core, &core->load_walk, TW_ENGINE_LOAD, now);
    }
    reads_schedule(core, now);
    if (room && load && walk_may_be_steady(&core->load_walk) && !core->settings.stepwise) {
        cycle last = pass_steady_reads(core, now);
        if (last > now)
            reads_schedule(core, last);
    }
}

/* Corrects what was planned before its banks' other users were known. */
void load_unit(struct core *core, cycle now)
{
    struct reads *reads = &core->reads;
    settle(reads, now);
    uint32_t n = reads->head;
    while (n != reads->tail) {
        const struct open_read *open = &reads->open[n % OPEN_READS];
        if (!open->fetch && open->burst.work->transfer.memory <= TW_MEMORY_ACC)
            break;
        n++;
    }
    if (n == reads->tail)
        return;
    reads->state = reads->open[n % OPEN_READS].before;
    for (; n != reads->tail; n++)
        plan(core, &reads->open[n % OPEN_READS]);
    fetch_refresh(core, now);
    reads_schedule(core, now);
}

void load_recall(struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    const struct reads *reads = &core->reads;
    for (uint32_t n = reads->head; n != reads->tail; n++) {
        const struct open_read *open = &reads->open[n % OPEN_READS];
        if (open->fetch || open->write < from || open->burst.work->transfer.memory != memory)
            continue;
        if (open->banks & banks) {
            wake(core, UNIT_LOAD, from);
            return;
        }
    }
}

/* Counts what is left when everything has happened. */
void settle_reads(struct core *core)
{
    settle(&core->reads, NEVER);
    core->reads.moved += core->reads.state.write > 0;
}
