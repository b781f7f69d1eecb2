/* The store engine: on-chip reads into bus words, bursts of words, answers: hw/store.py, packer.py, port.py. */
#include "timing.h"

#define WORD_QUEUE MAX(2 * BURST_BEATS, 8)

enum {
    LANE_TO_READ = 3,               /* from a run's first burst to its first read: steps.py, transfer.py */
    READ_TO_DECIDE = 4,             /* from a burst's last read to the cycle before its request */
};

/* Whether a read must wait in cycle `at`; up to cycle `*until` (at least the next) that stays so. */
static bool bank_taken(const struct core *core, unsigned memory, unsigned bank, cycle at, cycle *until)
{
    enum gemm_port port = memory == TW_MEMORY_ACT ? GEMM_READS_ACT : GEMM_READS_ACC;
    if (gemm_uses(core, port, bank, at, until))
        return true;
    cycle gemm_until = *until;
    if (vector_reads(core, memory, bank, at, until))
        return true;
    *until = MIN(*until, gemm_until);
    return false;
}

static bool may_wait(const struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    enum gemm_port port = memory == TW_MEMORY_ACT ? GEMM_READS_ACT : GEMM_READS_ACC;
    return vector_may_read(core, memory, banks, from) || (gemm_banks(core, port, from, NEVER) & banks);
}

/* The cycle from which the queue has room for bus word `word`. */
static cycle room_for(const struct store *store, uint32_t word)
{
    return word < WORD_QUEUE - 1 ? 0 : store->sent[(word - (WORD_QUEUE - 1)) % WORDS] + 1;
}

static void read_evenly(struct core *core, struct store *store, const struct burst *burst, cycle step)
{
    uint32_t steps = burst->first_steps, left = burst->steps;
    cycle begun = step;
    if (room_for(store, store->words + burst->beats - 1) <= step) { /* and so for those before it */
        spans_add(&core->store_spans[STORE_READ], step, step + left - 1);
        store->planned_read = step + left - 1;
        return;
    }
    for (uint32_t n = 0; n < burst->beats; n++) {
        cycle room = room_for(store, store->words + n);
        if (room > step) {
            spans_add(&core->store_spans[STORE_READ], begun, step - 1);
            begun = step = room;
        }
        step += steps;
        left -= steps;
        steps = MIN(burst->step_rate, left);
    }
    spans_add(&core->store_spans[STORE_READ], begun, step - 1);
    store->planned_read = step - 1;
}

static void read_carefully(struct core *core, struct store *store, const struct burst *burst, cycle step)
{
    const struct transfer_work *work = &burst->work->transfer;
    uint32_t word = store->words, word_begins = 0;
    int64_t run_ends = 0;
    unsigned bank = 0;
    cycle free_until = 0;
    for (uint32_t k = 0; k < burst->steps; k++) {
        if (k == run_ends) {
            run_ends += step_run(work, burst->first_step + k, &bank);
            free_until = may_wait(core, work->memory, 1u << bank, step) ? 0 : NEVER;
        }
        if (k == word_begins) {
            cycle room = room_for(store, word++);
            step = MAX(step, room);
            word_begins += k ? burst->step_rate : burst->first_steps;
        }
        cycle asked = step;
        while (step >= free_until && bank_taken(core, work->memory, bank, step, &free_until))
            step = free_until;
        spans_add(&core->store_spans[STORE_BLOCKED], asked, step - 1);
        spans_add(&core->store_spans[STORE_READ], step, step);
        step++;
    }
    store->planned_read = step - 1;
}

static void plan(struct core *core, cycle now)
{
    struct store *store = &core->store;
    const struct burst *burst = walk_burst(&core->store_walk);
    cycle step = store->read + 1;
    if (burst->first)
        step = MAX(step, walk_pushed(&core->store_walk) + LANE_TO_READ);
    if (store->planned) {
        spans_restore(&core->store_spans[STORE_READ], store->read_mark);
        spans_restore(&core->store_spans[STORE_BLOCKED], store->blocked_mark);
    }
    store->read_mark = spans_mark(&core->store_spans[STORE_READ]);
    store->blocked_mark = spans_mark(&core->store_spans[STORE_BLOCKED]);
    store->planned = true;
    cycle again = NEVER;
    if (may_wait(core, burst->work->transfer.memory, burst->work->transfer.banks, step)) {
        read_carefully(core, store, burst, step);
        again = vector_decided(core);
    } else {
        read_evenly(core, store, burst, step);
    }
    wake(core, UNIT_STORE, MAX(MIN(again, store->planned_read + 1), now + 1));
}

static void commit(struct core *core)
{
    struct store *store = &core->store;
    const struct burst burst = *walk_burst(&core->store_walk);
    cycle *answer = &store->answers[store->bursts % WRITES_OUTSTANDING];
    cycle *asked = &store->asked[store->bursts % STORE_DECIDED];
    cycle decide = MAX(walk_pushed(&core->store_walk) + 1, store->planned_read + READ_TO_DECIDE);
    decide = MAX(decide, store->decided + 1);
    if (store->bursts >= STORE_DECIDED)
        decide = MAX(decide, *asked + 1);
    cycle ask = decide + 1;
    if (store->bursts)
        ask = MAX(ask, store->asked[(store->bursts - 1) % STORE_DECIDED] + 1);
    if (store->bursts >= WRITES_OUTSTANDING)
        ask = MAX(ask, *answer + 1);
    cycle send = MAX(store->last_sent, ask) + 1;
    for (uint32_t n = 0; n < burst.beats; n++)
        store->sent[store->words++ % WORDS] = send + n;
    store->last_sent = send + burst.beats - 1;
    cycle before = store->bursts ? store->answers[(store->bursts - 1) % WRITES_OUTSTANDING] : 0;
    *answer = MAX(store->last_sent + 1 + (cycle)core->settings.latency, before + 1);
    spans_add(&core->store_spans[STORE_SENT], send, store->last_sent);
    spans_add(&core->store_spans[STORE_ANSWERED], *answer + 1, *answer + 1);
    store->decided = decide;
    *asked = ask;
    store->read = store->planned_read;
    store->bursts++;
    store->bytes += burst.bytes;
    store->planned = false;
    if (burst.last)
        completed(core, TW_ENGINE_STORE, burst.nest, *answer + 1);
    walk_asked(core, &core->store_walk, TW_ENGINE_STORE, decide);
}

void store_unit(struct core *core, cycle now)
{
    struct store *store = &core->store;
    if (store->planned && store->planned_read < now)
        commit(core);
    if (walk_has_burst(&core->store_walk))
        plan(core, now);
}

void store_recall(struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    const struct store *store = &core->store;
    if (!store->planned || store->planned_read < from)
        return;
    const struct transfer_work *work = &walk_burst(&core->store_walk)->work->transfer;
    if (work->memory == memory && work->banks & banks)
        wake(core, UNIT_STORE, from);
}
