/* Each engine's instructions are a track, on which one thread at a time moves on by one instruction. The caller prefers
 * GEMM, the helper the other tracks; a thread that has found nothing for a while looks at all of them, so that the run
 * goes on at the pace of one thread where the other one is late.
 *
 * First the helper rehearses the program, while the caller works alone: so only programs are taken over that come to
 * their end without an error. Queues are without end then, with which a program comes to its end all the more. */
#include "overlap.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "helper.h"
#include "rehearsal.h"

#define LINE 64
#define PATIENCE 40       /* waits before a thread looks at the other's tracks: about a microsecond */
#define STEPS_PER_LOOK 16 /* at the clock */
#define LATE_SECONDS 1e-3

/* Between CPUs that share a cache a word goes to and fro in 50 ns, else in 400: then moving the data eats up the gain. */
#define NEAR_SECONDS 200e-9
#define ROUND_TRIPS 20

struct track {
    _Alignas(LINE) _Atomic int held; /* by a thread; what follows is its alone */
    uint32_t next, count;
    const uint32_t *index;
    uint32_t taken[TW_ENGINES], known[TW_ENGINES]; /* tokens from each engine; of those given, the ones it knows of */
    _Alignas(LINE) _Atomic uint32_t given[TW_ENGINES]; /* tokens to each engine */
};

enum stage { REHEARSING, READY, REFUSED, BEGUN };

struct overlap {
    struct track track[TW_ENGINES];
    _Alignas(LINE) _Atomic uint32_t finished; /* tracks */
    _Atomic int stage;
    _Atomic int pausing, dismissed; /* the caller wants both threads, or the helper alone, to stop */
    _Alignas(LINE) _Atomic uint32_t ping;
    _Alignas(LINE) _Atomic uint32_t pong;
    struct machine *machine;
    struct launch launch;
    struct rehearsal rehearsal;
};

static const int caller_order[] = {TW_ENGINE_GEMM, TW_ENGINE_VECTOR, TW_ENGINE_LOAD, TW_ENGINE_STORE};
static const int helper_order[] = {TW_ENGINE_LOAD, TW_ENGINE_VECTOR, TW_ENGINE_STORE, TW_ENGINE_GEMM};
#define CALLERS_OWN 1
#define HELPERS_OWN 3

static const uint8_t *instruction(const struct launch *launch, uint32_t index)
{
    return launch->dram + (launch->program - launch->dram_base) + (uint64_t)index * TW_INSTRUCTION_BYTES;
}

static int take_tokens(struct overlap *o, int e, uint32_t wait)
{
    struct track *track = &o->track[e];
    for (int from = 0; from < TW_ENGINES; from++) {
        if (!(wait >> from & 1) || track->known[from] != track->taken[from])
            continue;
        track->known[from] = atomic_load_explicit(&o->track[from].given[e], memory_order_acquire);
        if (track->known[from] == track->taken[from])
            return 0;
    }
    for (int from = 0; from < TW_ENGINES; from++)
        track->taken[from] += wait >> from & 1;
    return 1;
}

/* Only who holds the track gives its tokens. */
static void give_tokens(struct track *track, uint32_t signal)
{
    for (int to = 0; to < TW_ENGINES; to++)
        if (signal >> to & 1) {
            uint32_t given = atomic_load_explicit(&track->given[to], memory_order_relaxed);
            atomic_store_explicit(&track->given[to], given + 1, memory_order_release);
        }
}

/* Runs the next instruction of a track that nobody holds, where its tokens are there. */
static int move_on(struct overlap *o, int e)
{
    struct track *track = &o->track[e];
    int ran = 0;
    if (atomic_load_explicit(&track->held, memory_order_relaxed) ||
        atomic_exchange_explicit(&track->held, 1, memory_order_acquire))
        return 0;
    if (track->next < track->count) {
        const uint8_t *raw = instruction(&o->launch, track->index[track->next]);
        if ((ran = take_tokens(o, e, tw_sync_wait(raw)))) {
            core_execute(o->machine, &o->launch, raw);
            give_tokens(track, tw_sync_signal(raw));
            if (++track->next == track->count)
                atomic_fetch_add(&o->finished, 1);
            else
                __builtin_prefetch(instruction(&o->launch, track->index[track->next]));
        }
    }
    atomic_store_explicit(&track->held, 0, memory_order_release);
    return ran;
}

static int move_on_in_order(struct overlap *o, const int *order, int count)
{
    int going = 0;
    for (int n = 0; n < count; n++)
        going |= move_on(o, order[n]);
    return going;
}

static int stopped(struct overlap *o)
{
    return atomic_load(&o->pausing) || atomic_load(&o->dismissed) || atomic_load(&o->finished) == TW_ENGINES;
}

/* The helper's part. */
static void help(void *work)
{
    struct overlap *o = work;
    if (atomic_load(&o->stage) == REHEARSING) {
        int fine = rehearsal_hold(&o->rehearsal, o->machine, &o->launch, &o->pausing);
        atomic_store(&o->stage, fine ? READY : REFUSED);
    }
    for (uint32_t idle = 0; atomic_load(&o->stage) == READY && !stopped(o);) {
        uint32_t ping = atomic_load(&o->ping);
        idle = ping == atomic_load(&o->pong) ? idle + 1 : 0;
        atomic_store(&o->pong, ping);
        wait_a_little(idle);
    }
    for (uint32_t idle = 0; atomic_load(&o->stage) == BEGUN && !stopped(o);)
        if (move_on_in_order(o, helper_order, idle < PATIENCE ? HELPERS_OWN : TW_ENGINES))
            idle = 0;
        else
            wait_a_little(++idle);
}

/* Until the end of the run or of the time. */
static void lead(struct overlap *o, double end)
{
    uint32_t idle = 0, steps = 0;
    double since = 0;
    while (atomic_load(&o->finished) < TW_ENGINES && (++steps % STEPS_PER_LOOK || clock_seconds() < end)) {
        int alone = atomic_load_explicit(&o->dismissed, memory_order_relaxed);
        if (move_on_in_order(o, caller_order, idle < PATIENCE && !alone ? CALLERS_OWN : TW_ENGINES)) {
            idle = 0;
            continue;
        }
        wait_a_little(++idle);
        if (idle == LOOKS)
            since = clock_seconds();
        else if (idle > LOOKS && !alone && clock_seconds() - since > LATE_SECONDS)
            atomic_store(&o->dismissed, 1);
    }
}

int overlap_continue(struct overlap *o, double end)
{
    struct helper *helper = o->machine->helper;
    if (atomic_exchange(&o->pausing, 0) && !atomic_load(&o->dismissed))
        helper_call(helper, help, o); /* else it is at work since it has made ready */
    lead(o, end);
    atomic_store(&o->pausing, 1);
    helper_recall(helper);
    int going = atomic_load(&o->finished) < TW_ENGINES;
    if (!going)
        helper_was(helper, atomic_load(&o->dismissed));
    return going;
}

struct overlap *overlap_prepare(struct core *core)
{
    struct machine *m = core->machine;
    if (m->helper && !helper_is_ours(m->helper)) {
        helper_stop(m->helper);
        m->helper = NULL;
    }
    if (!m->helper)
        m->helper = helper_start();
    if (!m->helper || (core->launch.overlap != OVERLAP_AT_ONCE && helper_is_resting(m->helper)))
        return NULL;
    struct overlap *o = aligned_alloc(LINE, sizeof *o);
    if (!o)
        return NULL;
    memset(o, 0, sizeof *o);
    o->machine = m;
    o->launch = core->launch;
    helper_call(m->helper, help, o);
    return o;
}

/* Whether the helper answers, and how fast. */
static int is_near(struct overlap *o)
{
    double begin = clock_seconds();
    for (uint32_t trip = 1; trip <= ROUND_TRIPS; trip++) {
        atomic_store(&o->ping, trip);
        while (atomic_load(&o->pong) != trip)
            if (clock_seconds() - begin > ROUND_TRIPS * NEAR_SECONDS)
                return 0;
    }
    return 1;
}

static void take_over(struct overlap *o, const struct core *core)
{
    for (int e = 0; e < TW_ENGINES; e++) {
        struct track *track = &o->track[e];
        track->index = o->rehearsal.index[e];
        track->count = o->rehearsal.count[e];
        track->next = core->begun[e];
        for (int to = 0; to < TW_ENGINES; to++)
            atomic_init(&track->given[to], core->tokens[e][to]);
        if (core->engine[e].ran)
            give_tokens(track, core->engine[e].signal);
        if (track->next == track->count)
            atomic_fetch_add(&o->finished, 1);
    }
}

enum overlap_answer overlap_begin(struct overlap *o, const struct core *core)
{
    int stage = atomic_load(&o->stage);
    if (stage == REHEARSING)
        return OVERLAP_LATER;
    if (stage == REFUSED || !(o->launch.overlap == OVERLAP_AT_ONCE || is_near(o))) {
        atomic_store(&o->dismissed, 1);
        return OVERLAP_NEVER;
    }
    take_over(o, core);
    atomic_store(&o->stage, BEGUN);
    return OVERLAP_BEGUN;
}

void overlap_report(const struct overlap *o, struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    for (int e = 0; e < TW_ENGINES; e++) {
        const struct track *track = &o->track[e];
        outcome->retired += track->next;
        outcome->oldest[e] = track->next < track->count ? track->index[track->next] : (uint32_t)o->rehearsal.end;
    }
}

void overlap_forget(struct overlap *o)
{
    if (!o)
        return;
    atomic_store(&o->pausing, 1);
    helper_recall(o->machine->helper);
    rehearsal_forget(&o->rehearsal);
    free(o);
}
