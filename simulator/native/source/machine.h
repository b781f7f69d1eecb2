/* One accelerator of one configuration: its memories, and what runs on them.
 *
 * The sizes (ROWS, BLOCK_IN, BLOCK_OUT, ACT_DEPTH, WGT_DEPTH, ACC_DEPTH, BIAS_DEPTH, SCALE_DEPTH, TABLES,
 * BUS_BYTES, QUEUE_DEPTH, TOKEN_BITS, MULTIPLIER_BITS) are given on the compiler's command line. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tilewright.h"

#define GRANULE (BLOCK_IN < BLOCK_OUT ? BLOCK_IN : BLOCK_OUT)
#define ACT_BYTES ((size_t)ACT_DEPTH * GRANULE)
#define TILE_BYTES ((size_t)BLOCK_OUT * BLOCK_IN)
#define TABLE_ENTRIES (TABLES * 256)
#define REDUCTION_CHUNK 1024

/* Granules of the smallest unit that GEMM reads and that VECTOR reads or writes. */
#define GEMM_GRANULES (BLOCK_IN / GRANULE)
#define VECTOR_GRANULES (BLOCK_OUT / GRANULE)

struct point_table {
    uint32_t count;
    uint32_t act[ROWS * ACC_DEPTH]; /* byte offset */
    uint32_t wgt[ROWS * ACC_DEPTH]; /* tile */
    uint32_t acc[ROWS * ACC_DEPTH]; /* cell */
    uint8_t first[ROWS * ACC_DEPTH]; /* every loop of the overwrite mask is at 0 */
};

struct machine {
    _Alignas(64) int8_t act[ROWS][ACT_BYTES];
    _Alignas(64) int32_t acc[ROWS][ACC_DEPTH][BLOCK_OUT];
    _Alignas(64) int8_t wgt[WGT_DEPTH][TILE_BYTES];
    _Alignas(64) int32_t bias[BIAS_DEPTH][BLOCK_OUT];
    _Alignas(64) uint8_t scale[SCALE_DEPTH][BLOCK_OUT * 8];
    _Alignas(64) int8_t table[TABLE_ENTRIES];

    /* Copies in the form that the multiplier loops like best; always current (see shadow.h). */
    _Alignas(64) uint8_t act_biased[ROWS][ACT_BYTES];    /* act + 128 */
    _Alignas(64) int8_t wgt_packed[WGT_DEPTH][TILE_BYTES];
    _Alignas(64) int32_t wgt_excess[WGT_DEPTH][BLOCK_OUT]; /* 128 * sum of the channel's weights */

    /* Scratch of one GEMM. */
    struct point_table mixed, columns, rows;
    uint32_t stamp[ACC_DEPTH], generation;
    int32_t reduction_act[REDUCTION_CHUNK], reduction_wgt[REDUCTION_CHUNK]; /* bytes, tiles */
};

struct launch {
    uint8_t *dram;
    uint64_t dram_base, dram_size, program, count;
    uint64_t segment_base[TW_SEGMENTS], segment_limit[TW_SEGMENTS];
};

struct outcome {
    uint32_t error, index;
    uint64_t retired;
};

/* Each runs one legal instruction (`raw` as in decode.h) and returns an error code. */
uint32_t run_load(struct machine *m, const struct launch *launch, const uint8_t *raw);
uint32_t run_store(struct machine *m, const struct launch *launch, const uint8_t *raw);
void run_gemm(struct machine *m, const uint8_t *raw);
void run_vector(struct machine *m, const uint8_t *raw);

#endif
