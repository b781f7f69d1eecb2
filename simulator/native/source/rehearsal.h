/* A run without its instructions, with queues and tokens, to see that it comes to its end and in what order. */
#ifndef REHEARSAL_H
#define REHEARSAL_H

#include <stdatomic.h>

#include "core.h"

/* Of a whole program: each engine's instructions in its order, and where FINISH is. */
struct rehearsal {
    uint32_t *index[TW_ENGINES];
    uint32_t count[TW_ENGINES], room[TW_ENGINES];
    uint64_t end;
};

/* Takes note of an instruction; an error where it might end with one, or there is no memory. */
uint32_t rehearsal_note(const struct core *core, int engine, const struct entry *entry);

/* Whether the program will come to its end without an error; 0 too where `stopped` was set meanwhile. */
int rehearsal_hold(struct rehearsal *rehearsal, struct machine *m, const struct launch *launch, _Atomic int *stopped);
void rehearsal_forget(struct rehearsal *rehearsal);

#endif
