/* What runs: the front end, the engines' queues, and the tokens. */
#ifndef CORE_H
#define CORE_H

#include "machine.h"

struct entry {
    uint32_t index, wait, signal;
    uint8_t raw[TW_INSTRUCTION_BYTES];
};

/* An engine's queue, and the instruction that it has run and whose tokens it has not given yet. */
struct engine {
    struct entry queue[QUEUE_DEPTH];
    uint32_t head, queued;
    int ran;
    uint32_t index, signal;
};

struct core {
    struct machine *machine;
    struct launch launch;
    struct engine engine[TW_ENGINES];
    uint32_t tokens[TW_ENGINES][TW_ENGINES]; /* from, to */
    uint64_t next;
    int finished;
    struct outcome outcome;
    uint32_t begun[TW_ENGINES]; /* instructions */
    struct rehearsal *rehearsal; /* takes note of instructions, which then are not executed */
    struct overlap *overlap;     /* with the helper, who is making ready or at work */
    int overlapping;             /* the latter: it has taken over */
};

/* Runs one legal instruction, and returns an error code. */
uint32_t core_execute(struct machine *m, const struct launch *launch, const uint8_t *raw);

/* Carries out all that can be; 0 where there is nothing. */
int core_advance(struct core *core);

/* Nothing can go on: that is the end, or a deadlock, which becomes the outcome's error. */
void core_conclude(struct core *core);

double clock_seconds(void);

#endif
