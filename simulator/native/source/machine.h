/* One accelerator of one configuration: its memories, and what runs on them.
 *
 * The sizes (ROWS, BLOCK_IN, BLOCK_OUT, ACT_DEPTH, WGT_DEPTH, ACC_DEPTH, BIAS_DEPTH, SCALE_DEPTH, TABLES,
 * BUS_BYTES, QUEUE_DEPTH, TOKEN_BITS, MULTIPLIER_BITS) are given on the compiler's command line. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lanes.h"
#include "tilewright.h"

#define GRANULE (BLOCK_IN < BLOCK_OUT ? BLOCK_IN : BLOCK_OUT)
#define ACT_BYTES ((size_t)ACT_DEPTH * GRANULE)
#define TILE_BYTES ((size_t)BLOCK_OUT * BLOCK_IN)
#define TABLE_ENTRIES (TABLES * 256)

/* Granules of the smallest unit that GEMM reads and that VECTOR reads or writes. */
#define GEMM_GRANULES (BLOCK_IN / GRANULE)
#define VECTOR_GRANULES (BLOCK_OUT / GRANULE)

/* Shapes of GEMM nests that are kept (see gemm_plan.c). */
#define PLANS 256

struct machine {
    _Alignas(64) operand_t act[ROWS][ACT_BYTES]; /* value + OPERAND_BIAS (see forms.h) */
    _Alignas(64) int32_t acc[ROWS][ACC_DEPTH][BLOCK_OUT];
    _Alignas(64) weight_t wgt[WGT_DEPTH][TILE_BYTES]; /* in the order of packed_position */
    _Alignas(64) int32_t bias[BIAS_DEPTH][BLOCK_OUT];
    _Alignas(64) uint8_t scale[SCALE_DEPTH][BLOCK_OUT * 8];
    _Alignas(64) int8_t table[TABLE_ENTRIES];
#if OPERAND_BIAS
    _Alignas(64) int32_t excess[WGT_DEPTH][BLOCK_OUT]; /* what the bias of operands adds to each channel's sum */
#endif
    struct gemm_plan *plans[PLANS];
    struct core *core; /* what runs, between two stretches of a run */
    struct helper *helper;
};

/* A copy of a memory; `bytes` is NULL where it is not held as in DRAM. */
struct storage {
    uint8_t *bytes;
    uint32_t depth, cell_bytes;
};

static inline struct storage storage_of(struct machine *m, uint32_t memory, int row)
{
    switch (memory) {
    case TW_MEMORY_ACT: return (struct storage){NULL, ACT_DEPTH, GRANULE};
    case TW_MEMORY_ACC: return (struct storage){(uint8_t *)m->acc[row], ACC_DEPTH, BLOCK_OUT * 4};
    case TW_MEMORY_WGT: return (struct storage){NULL, WGT_DEPTH, TILE_BYTES};
    case TW_MEMORY_BIAS: return (struct storage){(uint8_t *)m->bias, BIAS_DEPTH, BLOCK_OUT * 4};
    case TW_MEMORY_SCALE: return (struct storage){(uint8_t *)m->scale, SCALE_DEPTH, BLOCK_OUT * 8};
    default: return (struct storage){(uint8_t *)m->table, TABLE_ENTRIES, 1};
    }
}

struct launch {
    uint8_t *dram;
    uint64_t dram_base, dram_size, program, count;
    uint64_t segment_base[TW_SEGMENTS], segment_limit[TW_SEGMENTS];
    uint32_t overlap; /* whether engines may work side by side, on two threads: an `overlap_wish` */
};

enum overlap_wish { OVERLAP_FORBIDDEN, OVERLAP_WHERE_IT_PAYS, OVERLAP_AT_ONCE };

/* Of the run so far: retired instructions, and each engine's oldest that has not. */
struct outcome {
    uint32_t error, index;
    uint64_t retired;
    uint32_t oldest[TW_ENGINES];
};

/* Each runs one legal instruction (`raw` its bytes) and returns an error code. */
uint32_t run_load(struct machine *m, const struct launch *launch, const uint8_t *raw);
uint32_t run_store(struct machine *m, const struct launch *launch, const uint8_t *raw);
void run_gemm(struct machine *m, const uint8_t *raw);
void run_vector(struct machine *m, const uint8_t *raw);

/* Whether the instruction is none that might end with an error. */
int transfer_allowed(struct machine *m, const struct launch *launch, const uint8_t *raw);

#endif
