/* The matrix engine, which nothing stops: hw/gemm.py, array.py. */
#include "timing.h"

/* Registers of the multiplier array: operands, products, then an adder tree of four inputs a level. */
static int array_latency(void)
{
    int latency = GEMM_OPERAND_STAGES + 1;
    for (int terms = BLOCK_IN; terms > 1; terms = (terms + 3) / 4)
        latency++;
    return latency;
}

/* From when the nest shows a step to what it does at `port`. */
static int port_delay(enum gemm_port port)
{
    const int update = GEMM_ASKS + SCRATCHPAD_LATENCY + array_latency();
    return port == GEMM_READS_ACT ? GEMM_ASKS : port == GEMM_READS_ACC ? update - SCRATCHPAD_LATENCY : update + 1;
}

void gemm_start(struct core *core, const struct instruction *instruction, uint32_t nest, cycle now)
{
    const struct gemm_work *work = &instruction->gemm;
    struct engine *e = &core->engines[TW_ENGINE_GEMM];
    cycle last = now + work->nest.size[0];
    core->gemm_nests[core->gemm_count % GEMM_KEPT].start = now + 1;
    core->gemm_nests[core->gemm_count++ % GEMM_KEPT].work = work;
    e->free_at = e->walked[nest % FLIGHTS] = last;
    completed(core, TW_ENGINE_GEMM, nest, last + port_delay(GEMM_WRITES_ACC) - GEMM_ANNOUNCED_EARLY);
    if (vector_may_read(core, TW_MEMORY_ACT, work->act_banks, now + 1) ||
        vector_may_read(core, TW_MEMORY_ACC, work->acc_banks, now + 1) ||
        vector_may_write(core, TW_MEMORY_ACC, work->acc_banks, now + 1))
        vector_recall(core, now + 1);
    load_recall(core, TW_MEMORY_ACC, work->acc_banks, now + 1);
    store_recall(core, TW_MEMORY_ACT, work->act_banks, now + 1);
    store_recall(core, TW_MEMORY_ACC, work->acc_banks, now + 1);
}

static uint32_t port_banks(const struct gemm_work *work, enum gemm_port port)
{
    if (port == GEMM_READS_ACT)
        return work->act_banks;
    return port == GEMM_READS_ACC && work->always_overwrites ? 0 : work->acc_banks;
}

/* The banks that started nests may use at `port` in cycles `from` to `to` - 1. */
uint32_t gemm_banks(const struct core *core, enum gemm_port port, cycle from, cycle to)
{
    const int delay = port_delay(port);
    uint32_t banks = 0;
    for (uint32_t back = 1; back <= MIN(core->gemm_count, GEMM_KEPT); back++) {
        uint32_t n = (core->gemm_count - back) % GEMM_KEPT;
        const struct gemm_work *work = core->gemm_nests[n].work;
        cycle first = core->gemm_nests[n].start + delay;
        if (first + work->nest.size[0] <= from)
            break;
        if (first < to)
            banks |= port_banks(work, port);
    }
    return banks;
}

/* Whether the step at `point` replaces what it finds, and for how many steps from there on (at least 1) that stays so. */
static bool overwrites(const struct gemm_work *work, int64_t point, int64_t *steps)
{
    const struct nest *nest = &work->nest;
    *steps = nest->size[0] - point;
    if (work->accumulate)
        return false;
    for (int d = 0; d < nest->dims; d++) {
        int64_t index = point / nest->size[d + 1];
        point -= index * nest->size[d + 1];
        if (!(work->overwrite_mask >> d & 1) || nest->bound[d] == 1)
            continue;
        if (index) {
            *steps = MIN(*steps, nest->size[d] - index * nest->size[d + 1] - point);
            return false;
        }
        *steps = MIN(*steps, nest->size[d + 1] - point);
    }
    return true;
}

/* The same of a started nest's use of `bank` at `port`. */
static bool uses(const struct gemm_work *work, enum gemm_port port, unsigned bank, int64_t point, int64_t *steps)
{
    unsigned used;
    *steps = work->nest.size[0] - point;
    if (!(port_banks(work, port) >> bank & 1))
        return false;
    const struct place *place = port == GEMM_READS_ACT ? &work->act : &work->acc;
    struct banking banking = banking_of(port == GEMM_READS_ACT ? TW_MEMORY_ACT : TW_MEMORY_ACC);
    *steps = bank_run(place, &work->nest, point, banking, &used);
    if (used != bank || port != GEMM_READS_ACC)
        return used == bank;
    int64_t alike;
    bool replaces = overwrites(work, point, &alike);
    *steps = MIN(*steps, alike);
    return !replaces;
}

/* Whether a started nest uses `bank` at `port` in cycle `at`; up to cycle `*until` (at least the next) that stays so,
 * as long as no other nest starts. */
bool gemm_uses(const struct core *core, enum gemm_port port, unsigned bank, cycle at, cycle *until)
{
    cycle issued = at - port_delay(port);
    *until = NEVER;
    for (uint32_t back = 1; back <= MIN(core->gemm_count, GEMM_KEPT); back++) {
        uint32_t n = (core->gemm_count - back) % GEMM_KEPT;
        const struct gemm_work *work = core->gemm_nests[n].work;
        int64_t point = issued - core->gemm_nests[n].start, steps;
        if (point >= work->nest.size[0])
            break;
        if (point >= 0) {
            bool used = uses(work, port, bank, point, &steps);
            *until = at + steps;
            return used;
        }
        *until = at - point;
    }
    return false;
}
