/* The DRAM side of a transfer: runs, and the bursts that they are cut into: hw/runs.py, bursts.py, transfer.py.
 *
 * A run is walked into a queue of two, measured, and taken by the cutter; its bursts are pushed into a queue of
 * TRANSFER_BURSTS_AHEAD. Each time follows from earlier ones as soon as those are known. */
#include "timing.h"

void walk_start(struct walk *walk, const struct instruction *instruction, uint32_t nest, cycle now)
{
    walk->work = instruction;
    walk->nest = nest;
    walk->started = now;
    for (int d = 0; d < 3; d++)
        walk->index[d] = 0;
}

/* Moves on to the next run; false after the last. */
static bool next_run(struct walk *walk)
{
    for (int d = 3; d-- > 0;) {
        if (++walk->index[d] < walk->work->transfer.bound[d])
            return true;
        walk->index[d] = 0;
    }
    return false;
}

static bool walk_run(struct core *core, struct walk *walk, unsigned engine)
{
    uint32_t n = walk->walked_count;
    if (!walk->work || (n >= 2 && walk->measured_count < n - 1))
        return false;
    cycle at = walk->started + 1;
    if (n >= 1)
        at = MAX(at, walk->walked[(n - 1) % RUNS] + 1);
    if (n >= 2)
        at = MAX(at, walk->measured[(n - 2) % RUNS] + 1);
    const struct transfer_work *work = &walk->work->transfer;
    uint32_t offset = work->offset;
    for (int d = 0; d < 3; d++)
        offset += walk->index[d] * (uint32_t)work->dram_stride[d];
    if (offset & (work->unit_bytes - 1))
        fail(core, TW_ERROR_ALIGNMENT, walk->work->index);
    else if ((uint64_t)offset + work->run_bytes > core->settings.segment_limit[work->segment])
        fail(core, TW_ERROR_SEGMENT_LIMIT, walk->work->index);
    walk->walked[n % RUNS] = at;
    walk->run[n % RUNS].work = walk->work;
    walk->run[n % RUNS].nest = walk->nest;
    walk->run[n % RUNS].address = core->settings.segment_base[work->segment] + offset;
    bool more = next_run(walk);
    walk->run[n % RUNS].last = !more;
    walk->walked_count++;
    if (!more) {
        walk->work = NULL;
        core->engines[engine].free_at = at;
        wake(core, UNIT_FRONT + engine, at);
    }
    return true;
}

/* A register: filled a cycle after the one before it, once its own content has moved on. */
static bool pass_on(const cycle *before, uint32_t before_count, cycle *times, uint32_t *count, const cycle *after,
                    uint32_t after_count)
{
    uint32_t n = *count;
    if (n >= before_count || (n && after_count < n))
        return false;
    times[n % RUNS] = before[n % RUNS] + 1;
    if (n)
        times[n % RUNS] = MAX(times[n % RUNS], after[(n - 1) % RUNS]);
    ++*count;
    return true;
}

static void describe(struct walk *walk, struct burst *burst, uint32_t beats, bool first, bool final)
{
    uint32_t run = walk->cut_count % RUNS;
    const struct transfer_work *work = &walk->run[run].work->transfer;
    uint32_t lane = first ? (uint32_t)(walk->run[run].address % BUS_BYTES) : 0;
    uint32_t bytes = MIN(beats * BUS_BYTES - lane, walk->bytes_left);
    *burst = (struct burst){
        .beats = beats, .bytes = bytes, .steps = bytes >> work->unit_shift,
        .first_steps = MIN(BUS_BYTES - lane, bytes) >> work->unit_shift, .step_rate = BUS_BYTES >> work->unit_shift,
        .first_step = walk->next_step, .work = walk->run[run].work, .nest = walk->run[run].nest, .first = first,
        .last = final && walk->run[run].last};
    walk->bytes_left -= bytes;
    walk->next_step = burst->last ? 0 : walk->next_step + burst->steps;
}

static void begin_cut(struct walk *walk)
{
    uint32_t run = walk->cut_count % RUNS;
    uint64_t address = walk->run[run].address;
    walk->bytes_left = walk->run[run].work->transfer.run_bytes;
    walk->word = address / BUS_BYTES;
    walk->words_left = (uint32_t)((walk->bytes_left + address % BUS_BYTES + BUS_BYTES - 1) / BUS_BYTES);
}

static bool push_burst(struct walk *walk)
{
    uint32_t n = walk->pushed_count, run = walk->cut_count;
    if (walk->taken_count <= run || n >= walk->asked_count + TRANSFER_BURSTS_AHEAD)
        return false;
    bool first = !walk->words_left;
    if (first)
        begin_cut(walk);
    uint32_t to_page_end = (uint32_t)(BUS_WORDS_A_PAGE - walk->word % BUS_WORDS_A_PAGE);
    uint32_t longest = MIN(to_page_end, BURST_BEATS), beats = MIN(walk->words_left, longest);
    bool final = beats == walk->words_left;
    describe(walk, &walk->burst[n % BURSTS], beats, first, final);
    walk->word += beats;
    walk->words_left -= beats;
    cycle at = first ? walk->taken[run % RUNS] + 1 : 0;
    if (n)
        at = MAX(at, walk->pushed[(n - 1) % BURSTS] + 1);
    if (n >= TRANSFER_BURSTS_AHEAD)
        at = MAX(at, walk->asked[(n - TRANSFER_BURSTS_AHEAD) % BURSTS] + 1);
    walk->pushed[n % BURSTS] = at;
    walk->pushed_count++;
    if (final) {
        walk->cut[run % RUNS] = at;
        walk->cut_count++;
    }
    return true;
}

/* Moves each register on by one where it can, from the cutter backwards: each lets the one before it go on. */
static bool move_runs(struct core *core, struct walk *walk, unsigned engine)
{
    bool moved = pass_on(walk->measured, walk->measured_count, walk->taken, &walk->taken_count, walk->cut,
                         walk->cut_count);
    moved |= pass_on(walk->walked, walk->walked_count, walk->measured, &walk->measured_count, walk->taken,
                     walk->taken_count);
    return walk_run(core, walk, engine) || moved;
}

void walk_advance(struct core *core, struct walk *walk, unsigned engine)
{
    while (move_runs(core, walk, engine) | push_burst(walk))
        ;
}

/* Only pushes what became possible: where nothing can move, and then a run is cut, each register moves at most once. */
void walk_asked(struct core *core, struct walk *walk, unsigned engine, cycle at)
{
    walk->asked[walk->asked_count++ % BURSTS] = at;
    while (push_burst(walk))
        if (!walk->words_left)
            move_runs(core, walk, engine);
}
