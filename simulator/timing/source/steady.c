/* Reads in a steady state: a long run's bursts, each the same number of cycles after the one before it.
 *
 * What a burst finds, and what it leaves behind, are sums and maxima of times. So where all that it finds lies
 * `period` cycles after what its predecessor found, and the same holds of all that waits or is on its way, then every
 * burst of the same shape does as its predecessor did, `period` cycles later, until something else happens. It is then
 * enough to move what waits and what is on its way by a number of periods. */
#include "timing.h"

static bool alike(const struct burst *x, const struct burst *y)
{
    return x->work == y->work && x->beats == y->beats && x->steps == y->steps && x->first_steps == y->first_steps &&
           x->bytes == y->bytes && !x->first && !y->first && !x->last && !y->last;
}

static bool follows(const struct read_state *before, const struct read_state *after, cycle period)
{
    return after->on_bus - before->on_bus == period && after->taken - before->taken == period &&
           after->taken_before - before->taken_before == period && after->step - before->step == period &&
           after->write - before->write == period && after->write_before - before->write_before == period &&
           after->turn - before->turn == period;
}

/* Bursts of the run that is being cut, all as long as can be, before one that is not or that is the last. */
static int64_t full_bursts(const struct walk *walk)
{
    int64_t bursts = (int64_t)(walk->words_left / BURST_BEATS) - 1, in_page = walk->word % BUS_WORDS_A_PAGE;
    bool aligned = BUS_WORDS_A_PAGE % BURST_BEATS == 0 && in_page % BURST_BEATS == 0;
    return aligned ? bursts : MIN(bursts, (BUS_WORDS_A_PAGE - in_page) / BURST_BEATS);
}

/* The first cycle in which anything but a burst of the load engine may be asked for or decided. */
static cycle undisturbed_until(const struct core *core)
{
    cycle until = fetch_wants(core);
    for (unsigned unit = 0; unit < UNITS; unit++)
        if (unit != UNIT_READS)
            until = MIN(until, core->next[unit]);
    return until;
}

static bool waiting_is_even(const struct walk *walk, const struct burst *shape, cycle period)
{
    if (walk->pushed_count - walk->asked_count != TRANSFER_BURSTS_AHEAD || shape->beats != BURST_BEATS)
        return false;
    for (uint32_t n = walk->asked_count; n != walk->pushed_count; n++) {
        if (!alike(&walk->burst[n % BURSTS], shape))
            return false;
        if (n != walk->asked_count && walk->pushed[n % BURSTS] - walk->pushed[(n - 1) % BURSTS] != period)
            return false;
    }
    return true;
}

static bool flying_is_even(const struct reads *reads, cycle period)
{
    const struct open_read *last = &reads->open[(reads->tail - 1) % OPEN_READS];
    if (last->blocked)
        return false;
    for (uint32_t n = reads->head; n != reads->tail - 1; n++) {
        const struct open_read *open = &reads->open[n % OPEN_READS], *next = &reads->open[(n + 1) % OPEN_READS];
        if (open->fetch || !alike(&open->burst, &last->burst) || open->moved != last->moved || open->blocked ||
            next->asked - open->asked != period || next->on_bus - open->on_bus != period ||
            next->write - open->write != period || !follows(&open->before, &next->before, period))
            return false;
    }
    cycle next = last->asked + period; /* by then the oldest ones are through, and no others */
    return reads->open[reads->head % OPEN_READS].write < next && reads->open[reads->flying % OPEN_READS].on_bus < next;
}

static bool keeps_off(const struct core *core, const struct transfer_work *work, cycle now)
{
    return work->memory > TW_MEMORY_ACC || !(load_meets(core, work->memory, work->banks, now) ||
                                             vector_may_write(core, work->memory, work->banks, now));
}

static void move_state(struct read_state *state, cycle time)
{
    state->on_bus += time;
    state->taken += time;
    state->taken_before += time;
    state->step += time;
    state->write += time;
    state->write_before += time;
    state->turn += time;
}

static void move(struct core *core, int64_t bursts, cycle period)
{
    struct walk *walk = &core->load_walk;
    struct reads *reads = &core->reads;
    const struct open_read last = reads->open[(reads->tail - 1) % OPEN_READS];
    const cycle time = bursts * period;
    const int64_t steps = bursts * last.burst.steps;
    for (uint32_t n = walk->asked_count; n != walk->pushed_count; n++) {
        walk->pushed[n % BURSTS] += time;
        walk->burst[n % BURSTS].first_step += steps;
    }
    walk->asked[(walk->asked_count - 1) % BURSTS] += time;
    walk->word += (uint64_t)bursts * BURST_BEATS;
    walk->words_left -= (uint32_t)bursts * BURST_BEATS;
    walk->bytes_left -= (uint32_t)bursts * last.burst.bytes;
    walk->next_step += steps;
    for (uint32_t n = reads->head; n != reads->tail; n++) {
        struct open_read *open = &reads->open[n % OPEN_READS];
        open->asked += time;
        open->on_bus += time;
        open->write += time;
        move_state(&open->before, time);
        open->burst.first_step += steps;
        open->banks = burst_banks(&open->burst);
    }
    move_state(&reads->state, time);
    reads->asked += time;
    reads->moved += bursts * last.moved;
    reads->beats += bursts * BURST_BEATS;
}

/* To be called when a burst of the load engine has been asked for in cycle `now` and the next one is scheduled. Passes
 * as many further ones as there are before anything else happens; the cycle in which the last of them is asked for. */
cycle pass_steady_reads(struct core *core, cycle now)
{
    const struct walk *walk = &core->load_walk;
    const struct reads *reads = &core->reads;
    const cycle period = core->next[UNIT_READS] - now;
    const struct open_read *last = &reads->open[(reads->tail - 1) % OPEN_READS];
    int64_t bursts = full_bursts(walk);
    if (bursts < STEADY_BURSTS || period <= 0 || !follows(&last->before, &reads->state, period) ||
        walk->pushed[walk->asked_count % BURSTS] - walk->pushed[(walk->asked_count - 1) % BURSTS] != period)
        return now;
    bursts = MIN(bursts, (undisturbed_until(core) - 1 - now) / period);
    if (bursts < STEADY_BURSTS || !waiting_is_even(walk, &last->burst, period) || !flying_is_even(reads, period) ||
        !keeps_off(core, &last->burst.work->transfer, now))
        return now;
    move(core, bursts, period);
    return now + bursts * period;
}
