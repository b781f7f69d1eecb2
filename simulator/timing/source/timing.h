/* The timing model: who does what when. Everything here is decided from instructions and sizes; no data move.
 *
 * Time is counted in cycles from the one in which the start register takes effect. A *unit* is a part of the core
 * that decides something; the loop in core.c calls units in order of time, and within a cycle in the order of
 * `enum unit`, in which the parts of the core see one another. A unit may decide ahead of time as long as only units of
 * higher priority at the memories' banks could make it wrong; those tell it (`vector_recall`, `store_recall`,
 * `load_recall`), and it decides anew from the cycle that they name. */
#ifndef TIMING_H
#define TIMING_H

/* With AVX-512, gcc takes each minimum and maximum of two cycles to the vector registers and back: 5 % of a run. */
#if defined(__x86_64__) && !defined(__clang__)
#pragma GCC target("no-avx512f")
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nest.h"
#include "sizes.h"
#include "spans.h"
#include "tilewright.h"

typedef int64_t cycle;

#define NEVER (INT64_C(1) << 60)
#define LONG_AGO (-NEVER)
#define BUS_WORDS_A_PAGE (4096 / BUS_BYTES)
#define INSTRUCTION_BEATS (TW_INSTRUCTION_BYTES / BUS_BYTES)

/* Latencies and depths that hw/ fixes, each named after the component that has it. */
enum {
    SEQUENCER_IN_FLIGHT = 8,        /* sequencer.py */
    SCRATCHPAD_LATENCY = 3,         /* signatures.py, READ_LATENCY */
    GEMM_OPERAND_STAGES = 2,        /* array.py */
    GEMM_ASKS = 1,                  /* gemm.py: a step asks for its operands after the nest has shown it */
    GEMM_ANNOUNCED_EARLY = 3,       /* gemm.py: completion before the last write */
    VECTOR_LATENCY = 20,            /* vector.py: _WRITTEN, and two cycles in the queue of results */
    VECTOR_WINDOW = 24,             /* vector.py: _WRITTEN + 6 */
    TRANSFER_BURSTS_AHEAD = 4,      /* transfer.py */
    WRITES_OUTSTANDING = 8,         /* port.py */
    STORE_DECIDED = 2,              /* store.py */
    PREFETCH_INSTRUCTIONS = 8,      /* prefetch.py */
    PREFETCH_WORDS = 16,
    FIRST_REQUEST = 3,              /* core.py, prefetch.py: from the start to the program's first request */
};

#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

enum unit {
    UNIT_FRONT,                                 /* one for each engine: takes tokens, starts nests */
    UNIT_VECTOR = UNIT_FRONT + TW_ENGINES,      /* the vector engine's steps and writes */
    UNIT_FETCH,                                 /* hands instructions to queues */
    UNIT_READS,                                 /* asks for read bursts, the program's and the load engine's */
    UNIT_LOAD,                                  /* corrects what loads write when */
    UNIT_STORE,                                 /* the store engine's reads and bursts */
    UNIT_BACK,                                  /* one for each engine: retires, gives tokens */
    UNITS = UNIT_BACK + TW_ENGINES
};

struct gemm_work {
    struct nest nest;
    struct place act, acc;
    uint32_t act_banks, acc_banks;
    bool accumulate, always_overwrites;
    uint8_t overwrite_mask;
};

struct vector_work {
    struct nest nest, results;      /* with the loop over groups of lanes; without the reduced loops */
    struct place a, b, dst, result; /* `result` walks `results` */
    int64_t reduced;                /* steps a result */
    uint8_t a_memory, b_memory, dst_memory;
    bool a_needed, b_always, b_last;
    bool meets_itself;              /* a step may need what an earlier one of this nest wrote */
    bool a_is_dst, b_is_dst;        /* the operand is read where the same step's result goes, each place once */
    uint32_t read_banks[2], write_banks[2]; /* by memory, ACT or ACC */
};

struct transfer_work {
    struct nest nest;               /* on-chip, cells */
    struct place mem;
    uint8_t memory, segment;
    uint32_t offset, bound[3];
    int32_t dram_stride[3];
    uint32_t run_bytes, unit_bytes; /* a step moves a unit: a cell, or a bus word of it */
    uint8_t unit_shift, parts_shift; /* log2 of a unit's bytes, and of a cell's units */
    uint32_t banks;
};

struct instruction {
    uint32_t index;
    uint8_t opcode, engine, wait, signal;
    bool legal;
    union {
        struct gemm_work gemm;
        struct vector_work vector;
        struct transfer_work transfer;
    };
};

/* An instruction between its start and its retirement. */
struct flight {
    cycle started, shown;           /* `shown`: the first cycle in which the retire queue can show it */
    uint32_t index, nest;           /* `nest` counts the engine's nests */
    uint8_t signal;
    bool sync;
};

#define FLIGHTS 32
#define KEPT 128                    /* instructions of an engine, queued and in flight: the last ones that can matter */
#define GEMM_KEPT 1024              /* of gemm those, too, that kept someone waiting who is not through yet */

struct engine {
    cycle visible[KEPT], written[KEPT];     /* when the queue's output shows it; when it went in */
    uint32_t queued, popped;                /* instructions so far */
    bool acquired;
    struct flight flights[FLIGHTS];
    uint32_t retired, nests;
    cycle complete[FLIGHTS];                /* by nest: its last write */
    uint32_t completed;                     /* nests with a known `complete` */
    cycle free_at;                          /* the next nest may start then; NEVER: not known yet */
    cycle walked[FLIGHTS];                  /* by nest: its last step, of gemm and vector */
    cycle idle_from, last_retired, refused;
    int64_t busy;
};

/* What an engine was about, for its counters. */
enum engine_span { ENGINE_ACQUIRES, ENGINE_RELEASES, ENGINE_WORKS, ENGINE_SPANS };

struct log_entry {
    cycle first;
    int32_t period, count;
    uint8_t memory, bank;
};

#define LOG 8192
enum vector_log { LOG_A, LOG_B, LOG_WRITE, LOGS };

struct pending_result {
    cycle ready;
    const struct instruction *work;
    uint32_t key;                   /* memory and address, in the window's units */
    uint8_t memory, bank;
    bool last;
};

#define WINDOW 32

/* The vector engine before cycle `time`; all of it can be put back. A step comes from the nest to where it asks for its
 * operands when the one before goes; with a nest's last step the next nest may start. */
struct vector_state {
    cycle time, last_issue, last_write;
    cycle moved;                    /* when the step that asks, or asked last, came from the nest: it asks from the next on */
    const struct instruction *work; /* whose steps ask */
    const struct instruction *following; /* started while the last step of `work` was still asking */
    cycle following_shown;          /* its first step is then there */
    int64_t point;
    bool a_held;
    uint32_t head, count, walked, completed, logged[LOGS];  /* `walked`: nests whose steps have all gone */
    struct pending_result window[WINDOW];
    cycle last_read[2][16], last_written[2][16];
    int64_t stalls;
};

struct vector_cursor {
    const struct instruction *work;
    int64_t point, in_result;
    uint32_t index[NEST_DIMS];
    int64_t a, b, dst;
};

struct burst {
    uint32_t address_word, beats;
    uint32_t steps, first_steps, step_rate; /* on-chip steps: in all, in the first word, in any later one */
    int64_t first_step;                     /* within its instruction */
    const struct instruction *work;
    uint32_t nest, bytes;
    bool first, last;                       /* of its run; of its instruction */
};

#define RUNS 16
#define BURSTS 16

/* The DRAM side of a transfer engine: runs pass a queue and two registers and are cut into bursts. Times of the youngest. */
struct walk {
    const struct instruction *work;         /* whose runs are being walked */
    uint32_t nest, index[3];
    cycle started;
    cycle walked[RUNS], measured[RUNS], taken[RUNS], cut[RUNS];
    uint32_t walked_count, measured_count, taken_count, cut_count;
    struct { const struct instruction *work; uint32_t nest; uint64_t address; bool last; } run[RUNS];
    uint64_t word;                          /* of the run that is being cut */
    uint32_t words_left, bytes_left;
    struct burst burst[BURSTS];
    cycle pushed[BURSTS], asked[BURSTS];
    uint32_t pushed_count, asked_count;
    int64_t next_step;
};

/* What a read burst finds: the last word on the bus, the last two words taken by their readers, the load engine's last
 * step, its last two writes and since when the last one was the next to be written. */
struct read_state {
    cycle on_bus, taken, taken_before, step, write, write_before, turn;
};

struct open_read {
    bool fetch;
    cycle asked, on_bus, write;     /* last word on the bus; last cell written */
    uint32_t first_beat;            /* of the program */
    uint32_t banks;                 /* that the burst's cells lie in */
    int64_t moved, blocked;
    struct read_state before;
    struct burst burst;
};

#define OPEN_READS 256

struct reads {
    struct open_read open[OPEN_READS];
    uint32_t head, flying, tail;    /* oldest whose data may still change; oldest not yet off the bus; end */
    cycle asked;
    struct read_state state;
    int64_t moved, blocked, beats;
};

#define BEATS 4096

/* Of the program's words: when the prefetcher has each, and when the assembler takes it. */
struct fetch {
    uint64_t word, left;            /* next to ask for, and how many */
    uint32_t asked, arrived_count, took_count;
    cycle arrived[BEATS], took[BEATS];
    uint32_t next;                  /* instruction that is handed on next */
    cycle asked_at;
    cycle judged, judged_before, judged_next;       /* of `next`, the one before and the one after: assembled */
    cycle checked, checked_before;  /* of `next` and the one before: found legal; NEVER: not known yet */
    cycle dispatched_before, dispatched_earlier;    /* the one before `next`, and the one before that */
    cycle stop;                     /* nothing more is asked for */
};

#define WORDS 1024

/* What the store engine did; bank conflicts come last. */
enum store_span { STORE_READ, STORE_SENT, STORE_ANSWERED, STORE_BLOCKED, STORE_SPANS };

struct store {
    bool planned;
    cycle read, planned_read;       /* the last on-chip read, before and after the burst being planned */
    uint32_t words, bursts;         /* sent so far */
    cycle sent[WORDS], decided, asked[STORE_DECIDED], last_sent, answers[WRITES_OUTSTANDING];
    int64_t bytes;
    struct span_mark read_mark, blocked_mark;       /* before the burst being planned */
};

struct settings {
    const uint8_t *program;
    uint64_t program_address, count;
    uint64_t segment_base[TW_SEGMENTS], segment_limit[TW_SEGMENTS];
    uint64_t latency;
    uint64_t stepwise;              /* take no step of any engine together with others: for tests */
    uint64_t *started, *retired;    /* by instruction; null: not wanted */
};

struct core {
    cycle next[UNITS], soonest;     /* `soonest`: that any was woken for, since core.c last cleared it */
    struct settings settings;
    struct engine engines[TW_ENGINES];
    uint32_t tokens[TW_ENGINES][TW_ENGINES];        /* [from][to] */
    cycle token_given[TW_ENGINES][TW_ENGINES];      /* may be used a cycle later */
    struct { cycle start; const struct gemm_work *work; } gemm_nests[GEMM_KEPT];
    uint32_t gemm_count;
    struct vector_state vector, vector_before;
    struct vector_cursor cursor;
    struct walk load_walk, store_walk;
    struct reads reads;
    struct fetch fetch;
    struct store store;
    uint64_t retired;
    uint32_t error, error_index;
    /* What stays from one run to the next; from here on nothing is cleared. */
    struct instruction *kept[TW_ENGINES];
    struct log_entry log[LOGS][LOG];
    struct spans store_spans[STORE_SPANS], engine_spans[TW_ENGINES][ENGINE_SPANS];
};

static inline void wake(struct core *core, unsigned unit, cycle time)
{
    if (time < core->next[unit])
        core->next[unit] = time;
    core->soonest = MIN(core->soonest, time);
}

/* As wake; but what was said before is forgotten. */
static inline void wake_only(struct core *core, unsigned unit, cycle time)
{
    core->next[unit] = NEVER;
    wake(core, unit, time);
}

/* The place of an engine's `n`th instruction. */
static inline struct instruction *kept(const struct core *core, unsigned engine, uint32_t n)
{
    return &core->kept[engine][n % (engine == TW_ENGINE_GEMM ? GEMM_KEPT : KEPT)];
}

static inline struct banking banking_of(unsigned memory)
{
    if (memory == TW_MEMORY_ACT)
        return (struct banking){__builtin_ctz(ACT_DEPTH), __builtin_ctz(ACT_DEPTH / ACT_BANKS)};
    return (struct banking){__builtin_ctz(ACC_DEPTH), __builtin_ctz(ACC_DEPTH / ACC_BANKS)};
}

/* The first error is the one that counts. */
static inline void fail(struct core *core, uint32_t error, uint32_t index)
{
    if (core->error)
        return;
    core->error = error;
    core->error_index = index;
}

/* decode.c */
void decode(struct instruction *instruction, const uint8_t *raw, uint32_t index);

/* sequencer.c */
void front(struct core *core, unsigned engine, cycle now);
void back(struct core *core, unsigned engine, cycle now);
void completed(struct core *core, unsigned engine, uint32_t nest, cycle at);

/* gemm.c */
void gemm_start(struct core *core, const struct instruction *instruction, uint32_t nest, cycle now);
enum gemm_port { GEMM_READS_ACT, GEMM_READS_ACC, GEMM_WRITES_ACC };
uint32_t gemm_banks(const struct core *core, enum gemm_port port, cycle from, cycle to);
bool gemm_uses(const struct core *core, enum gemm_port port, unsigned bank, cycle at, cycle *until);

/* vector.c, vector_log.c */
void vector_start(struct core *core, const struct instruction *instruction, cycle now);
void vector_unit(struct core *core, cycle now);
void vector_recall(struct core *core, cycle from);
cycle vector_decided(const struct core *core);
void vector_note(struct core *core, enum vector_log kind, struct log_entry entry);
bool vector_reads(const struct core *core, unsigned memory, unsigned bank, cycle at, cycle *until);
bool vector_writes(const struct core *core, unsigned memory, unsigned bank, cycle at, cycle *until);
bool vector_wrote(const struct core *core, unsigned memory, uint32_t banks, cycle from);
bool vector_may_read(const struct core *core, unsigned memory, uint32_t banks, cycle from);
bool vector_may_write(const struct core *core, unsigned memory, uint32_t banks, cycle from);

/* walk.c */
void walk_start(struct walk *walk, const struct instruction *instruction, uint32_t nest, cycle now);
void walk_advance(struct core *core, struct walk *walk, unsigned engine);
static inline bool walk_has_burst(const struct walk *walk) { return walk->pushed_count > walk->asked_count; }
static inline const struct burst *walk_burst(const struct walk *walk)
{
    return &walk->burst[walk->asked_count % BURSTS];
}
static inline cycle walk_pushed(const struct walk *walk) { return walk->pushed[walk->asked_count % BURSTS]; }
void walk_asked(struct core *core, struct walk *walk, unsigned engine, cycle at);

/* reads.c */
void reads_unit(struct core *core, cycle now);
void load_unit(struct core *core, cycle now);
void load_recall(struct core *core, unsigned memory, uint32_t banks, cycle from);
void reads_schedule(struct core *core, cycle now);
void settle_reads(struct core *core);

/* steady.c */
#define STEADY_BURSTS 3             /* fewer are not worth the look */
static inline bool walk_may_be_steady(const struct walk *walk)
{
    return walk->words_left > STEADY_BURSTS * BURST_BEATS;
}
cycle pass_steady_reads(struct core *core, cycle now);

/* The bank of an on-chip cell, and for how many steps from `step` on it stays the same. */
static inline int64_t step_run(const struct transfer_work *work, int64_t step, unsigned *bank)
{
    int64_t cell = step >> work->parts_shift;
    int64_t run = bank_run(&work->mem, &work->nest, cell, banking_of(work->memory), bank);
    return ((cell + run) << work->parts_shift) - step;
}

/* Whether something that is decided may keep a write to `banks` waiting from cycle `from` on. */
static inline bool load_meets(const struct core *core, unsigned memory, uint32_t banks, cycle from)
{
    if (vector_wrote(core, memory, banks, from))
        return true;
    return memory == TW_MEMORY_ACC && gemm_banks(core, GEMM_WRITES_ACC, from, NEVER) & banks;
}

static inline uint32_t burst_banks(const struct burst *burst)
{
    const struct transfer_work *work = &burst->work->transfer;
    unsigned bank;
    if (!(work->banks & (work->banks - 1)) || step_run(work, burst->first_step, &bank) < burst->steps)
        return work->banks;
    return 1u << bank;
}

/* fetch.c */
void fetch_unit(struct core *core, cycle now);
void fetch_refresh(struct core *core, cycle now);
cycle fetch_wants(const struct core *core);
uint32_t fetch_burst(const struct fetch *fetch);
cycle fetch_finished(const struct core *core);

/* store.c */
void store_unit(struct core *core, cycle now);
void store_recall(struct core *core, unsigned memory, uint32_t banks, cycle from);

#endif
