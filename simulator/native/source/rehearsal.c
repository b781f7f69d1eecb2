#include "rehearsal.h"

#include <stdlib.h>

#define FIRST_ROOM 1024

uint32_t rehearsal_note(const struct core *core, int engine, const struct entry *entry)
{
    struct rehearsal *rehearsal = core->rehearsal;
    if (!transfer_allowed(core->machine, &core->launch, entry->raw))
        return TW_ERROR_SEGMENT_LIMIT;
    if (rehearsal->count[engine] == rehearsal->room[engine]) {
        size_t room = rehearsal->room[engine] ? 2 * (size_t)rehearsal->room[engine] : FIRST_ROOM;
        uint32_t *larger = realloc(rehearsal->index[engine], room * sizeof *larger);
        if (!larger)
            return TW_ERROR_BUS_READ;
        rehearsal->index[engine] = larger;
        rehearsal->room[engine] = (uint32_t)room;
    }
    rehearsal->index[engine][rehearsal->count[engine]++] = entry->index;
    return TW_ERROR_NONE;
}

int rehearsal_hold(struct rehearsal *rehearsal, struct machine *m, const struct launch *launch, _Atomic int *stopped)
{
    struct core core = {.machine = m, .launch = *launch, .rehearsal = rehearsal};
    while (core_advance(&core))
        if (atomic_load_explicit(stopped, memory_order_relaxed))
            return 0;
    if (!core.outcome.error)
        core_conclude(&core);
    rehearsal->end = core.next;
    return !core.outcome.error;
}

void rehearsal_forget(struct rehearsal *rehearsal)
{
    for (int e = 0; e < TW_ENGINES; e++)
        free(rehearsal->index[e]);
}
