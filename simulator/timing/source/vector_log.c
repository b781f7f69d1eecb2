/* What the vector engine did to which bank and when, for the engines that must yield to it. */
#include "timing.h"

void vector_note(struct core *core, enum vector_log kind, struct log_entry entry)
{
    struct vector_state *v = &core->vector;
    struct log_entry *log = core->log[kind];
    cycle last = entry.first + (cycle)entry.period * (entry.count - 1);
    cycle (*latest)[16] = kind == LOG_WRITE ? v->last_written : v->last_read;
    latest[entry.memory][entry.bank] = MAX(latest[entry.memory][entry.bank], last);
    if (v->logged[kind] > core->vector_before.logged[kind]) { /* older entries must stay: they may be put back */
        struct log_entry *before = &log[(v->logged[kind] - 1) % LOG];
        bool same = before->memory == entry.memory && before->bank == entry.bank;
        if (same && before->period == 1 && entry.period == 1 && entry.first == before->first + before->count) {
            before->count += entry.count;
            return;
        }
    }
    log[v->logged[kind]++ % LOG] = entry;
}

static bool logged(const struct core *core, enum vector_log kind, unsigned memory, unsigned bank, cycle at,
                   cycle *until)
{
    uint32_t count = core->vector.logged[kind];
    for (uint32_t back = 1; back <= MIN(count, LOG); back++) {
        const struct log_entry *entry = &core->log[kind][(count - back) % LOG];
        if (entry->first > at)
            continue;
        cycle since = at - entry->first;
        if (since >= (cycle)entry->period * entry->count || entry->memory != memory || entry->bank != bank)
            return false;
        *until = entry->period == 1 ? entry->first + entry->count : at + 1;
        return entry->period == 1 || since % entry->period == 0;
    }
    return false;
}

/* Whether it reads or may read from `bank` in cycle `at`; up to cycle `*until` (at least the next) that stays so. */
bool vector_reads(const struct core *core, unsigned memory, unsigned bank, cycle at, cycle *until)
{
    *until = core->vector.last_read[memory][bank] < at ? NEVER : at + 1;
    return *until < NEVER &&
           (logged(core, LOG_A, memory, bank, at, until) || logged(core, LOG_B, memory, bank, at, until));
}

/* As vector_reads. */
bool vector_writes(const struct core *core, unsigned memory, unsigned bank, cycle at, cycle *until)
{
    *until = core->vector.last_written[memory][bank] < at ? NEVER : at + 1;
    return *until < NEVER && logged(core, LOG_WRITE, memory, bank, at, until);
}

static bool any_after(const cycle *latest, uint32_t banks, cycle from)
{
    for (; banks; banks &= banks - 1)
        if (latest[__builtin_ctz(banks)] >= from)
            return true;
    return false;
}

static uint32_t started_banks(const struct vector_state *v, bool write, unsigned memory)
{
    uint32_t banks = 0;
    const struct instruction *started[] = {v->work, v->following};
    for (unsigned n = 0; n < 2; n++)
        if (started[n])
            banks |= (write ? started[n]->vector.write_banks : started[n]->vector.read_banks)[memory];
    return banks;
}

/* Whether it reads or may read one of `banks` from cycle `from` on, as far as its started nests go. */
bool vector_may_read(const struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    const struct vector_state *v = &core->vector;
    return any_after(v->last_read[memory], banks, from) || started_banks(v, false, memory) & banks;
}

/* Whether a write to `banks` in cycle `from` or later is decided. */
bool vector_wrote(const struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    return any_after(core->vector.last_written[memory], banks, from);
}

/* As vector_may_read. */
bool vector_may_write(const struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    const struct vector_state *v = &core->vector;
    if (any_after(v->last_written[memory], banks, from) || started_banks(v, true, memory) & banks)
        return true;
    for (uint32_t n = 0; n < v->count; n++) {
        const struct pending_result *result = &v->window[(v->head + n) % WINDOW];
        if (result->memory == memory && banks >> result->bank & 1)
            return true;
    }
    return false;
}
