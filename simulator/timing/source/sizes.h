/* The sizes of the core: constants, defined for the compiler; or with ANY_SIZE, what the thread's current run has. */
#ifndef SIZES_H
#define SIZES_H
#ifdef ANY_SIZE

#include <stdint.h>

/* In the order of `_SIZES` in model.py. */
struct sizes {
    uint32_t block_in, block_out, granule, act_depth, act_banks, acc_depth, acc_banks, bus_bytes;
    uint32_t burst_beats, reads_outstanding, queue_depth, token_bits, vector_lanes;
};

extern _Thread_local struct sizes sizes __attribute__((tls_model("initial-exec")));

#define BLOCK_IN sizes.block_in
#define BLOCK_OUT sizes.block_out
#define GRANULE sizes.granule
#define ACT_DEPTH sizes.act_depth
#define ACT_BANKS sizes.act_banks
#define ACC_DEPTH sizes.acc_depth
#define ACC_BANKS sizes.acc_banks
#define BUS_BYTES sizes.bus_bytes
#define BURST_BEATS sizes.burst_beats
#define READS_OUTSTANDING sizes.reads_outstanding
#define QUEUE_DEPTH sizes.queue_depth
#define TOKEN_BITS sizes.token_bits
#define VECTOR_LANES sizes.vector_lanes

#endif
#endif
