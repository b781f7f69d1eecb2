/* What the vector engine's two ways to go on have in common. */
#ifndef VECTOR_H
#define VECTOR_H

#include "timing.h"

#define KEY_PASS_BITS 6
#define KEY_MEMORY_BIT 30

static const enum gemm_port gemm_read_port[] = {GEMM_READS_ACT, GEMM_READS_ACC};

static inline unsigned unit_shift(unsigned memory)
{
    return memory == TW_MEMORY_ACT ? __builtin_ctz(BLOCK_OUT / GRANULE) : 0;
}

static inline uint32_t key_of(unsigned memory, int64_t address, uint32_t pass)
{
    uint32_t unit = (uint32_t)wrapped(address, banking_of(memory)) >> unit_shift(memory);
    return memory << KEY_MEMORY_BIT | unit << KEY_PASS_BITS | pass;
}

static inline uint32_t pass_of(const struct vector_work *work, const uint32_t *index)
{
    return work->nest.dims > TW_VECTOR_DIMS ? index[0] : 0;
}

static inline void claim(struct vector_state *v, struct pending_result result)
{
    v->window[(v->head + v->count++) % WINDOW] = result;
}

/* After all steps of the nest have gone. */
static inline void finish_nest(struct core *core, cycle last_issue)
{
    struct vector_state *v = &core->vector;
    struct engine *e = &core->engines[TW_ENGINE_VECTOR];
    e->walked[v->walked++ % FLIGHTS] = v->last_issue = last_issue;
    if (v->following)
        v->moved = MAX(last_issue, v->following_shown);
    v->work = v->following;
    v->following = NULL;
    v->point = 0;
}

/* vector_glide.c */
bool glide(struct core *core, cycle until);
bool write_out(struct core *core, cycle until);
void stand_still(struct core *core, cycle until);

#endif
