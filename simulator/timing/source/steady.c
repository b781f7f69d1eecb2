/* Long runs of reads: once bursts follow one another at an even pace, many of them pass at once. */
#include "timing.h"

enum {
    LEAST_BURSTS = 2,
    /* So many bursts alike, and nothing that a next one depends on is any different. */
    ENOUGH_ALIKE = MAX(READS_OUTSTANDING, TRANSFER_BURSTS_AHEAD) + 4,
};

/* Cycles from one burst to the next while they are all alike; 0 where the youngest is not like the one before. */
static cycle pace_of(const struct reads *reads)
{
    const struct open_read *last = &reads->open[(reads->tail - 1) % OPEN_READS];
    const struct open_read *before = &reads->open[(reads->tail - 2) % OPEN_READS];
    cycle pace = last->asked - before->asked;
    bool alike = !before->fetch && before->burst.beats == BURST_BEATS && last->burst.beats == BURST_BEATS &&
                 before->burst.step_rate == last->burst.step_rate && before->moved == last->moved;
    if (!alike || last->on_bus - before->on_bus != pace || last->write - before->write != pace)
        return 0;
    return pace;
}

/* Whether what is pushed and what is cut next belong to the run of which a burst was asked for last. */
static bool within_run(const struct walk *walk)
{
    for (uint32_t n = walk->asked_count; n != walk->pushed_count; n++)
        if (walk->burst[n % BURSTS].first)
            return false;
    return walk->words_left / BURST_BEATS > LEAST_BURSTS && walk->word % BURST_BEATS == 0;
}

static void shift_state(struct read_state *state, cycle by)
{
    state->on_bus += by;
    state->taken += by;
    state->taken_before += by;
    state->step += by;
    state->write += by;
}

static void shift(struct core *core, int64_t bursts, cycle by)
{
    struct reads *reads = &core->reads;
    struct walk *walk = &core->load_walk;
    const struct open_read *last = &reads->open[(reads->tail - 1) % OPEN_READS];
    const int64_t steps = bursts * last->burst.steps;
    reads->moved += bursts * last->moved;
    reads->beats += bursts * BURST_BEATS;
    for (uint32_t n = reads->head; n != reads->tail; n++) {
        struct open_read *open = &reads->open[n % OPEN_READS];
        open->asked += by;
        open->on_bus += by;
        open->write += by;
        open->burst.first_step += steps;
        shift_state(&open->before, by);
    }
    shift_state(&reads->state, by);
    reads->asked += by;
    for (unsigned n = 0; n < BURSTS; n++) {
        walk->asked[n] += by;
        walk->pushed[n] += by;
        walk->burst[n].first_step += steps;
    }
    walk->next_step += steps;
    walk->word += (uint64_t)bursts * BURST_BEATS;
    walk->words_left -= (uint32_t)bursts * BURST_BEATS;
    walk->bytes_left -= (uint32_t)bursts * BURST_BEATS * BUS_BYTES;
}

/* After the load engine asked for a burst of a memory that nobody else writes: lets pass what comes before anything else
 * happens. */
void reads_pass(struct core *core, cycle now)
{
    struct reads *reads = &core->reads;
    const struct walk *walk = &core->load_walk;
    cycle pace = pace_of(reads);
    reads->alike = pace && pace == reads->pace ? reads->alike + 1 : 0;
    reads->pace = pace;
    if (reads->alike < ENOUGH_ALIKE || !within_run(walk))
        return;
    cycle until = fetch_wants(core);
    for (unsigned unit = 0; unit < UNITS; unit++)
        until = MIN(until, core->next[unit]);
    int64_t bursts = MIN(walk->words_left / BURST_BEATS - 1, (until - 1 - now) / pace);
    if (bursts >= LEAST_BURSTS)
        shift(core, bursts, bursts * pace);
}
