/* What the timing model needs to know of an instruction. */
#include <stdlib.h>

#include "timing.h"

#define VECTOR_PASSES (BLOCK_OUT / VECTOR_LANES)

static void set_nest(struct nest *nest, int extra, const uint32_t *bounds, int dims)
{
    nest->dims = extra + dims;
    for (int d = 0; d < dims; d++)
        nest->bound[extra + d] = bounds[d];
    nest_finish(nest);
}

static void set_place(struct place *place, const struct nest *nest, int extra, uint32_t base, const int32_t *strides)
{
    place->base = base;
    for (int d = 0; d < nest->dims; d++)
        place->stride[d] = d < extra ? 0 : strides[d - extra];
    place_finish(place, nest);
}

static bool positive(const uint32_t *bounds, int dims)
{
    for (int d = 0; d < dims; d++)
        if (!bounds[d])
            return false;
    return true;
}

static bool decode_gemm(struct gemm_work *work, const uint8_t *raw)
{
    const uint32_t bounds[] = TW_FIELDS6(raw, gemm_bound);
    const int32_t act[] = TW_FIELDS6(raw, gemm_act_stride), acc[] = TW_FIELDS6(raw, gemm_acc_stride);
    set_nest(&work->nest, 0, bounds, TW_GEMM_DIMS);
    set_place(&work->act, &work->nest, 0, tw_gemm_act_base(raw), act);
    set_place(&work->acc, &work->nest, 0, tw_gemm_acc_base(raw), acc);
    work->act_banks = place_banks(&work->act, banking_of(TW_MEMORY_ACT));
    work->acc_banks = place_banks(&work->acc, banking_of(TW_MEMORY_ACC));
    work->accumulate = tw_gemm_accumulate(raw);
    work->overwrite_mask = (uint8_t)tw_gemm_overwrite_mask(raw);
    work->always_overwrites = !work->accumulate;
    for (int d = 0; d < TW_GEMM_DIMS; d++)
        if (work->overwrite_mask >> d & 1 && bounds[d] > 1)
            work->always_overwrites = false;
    return positive(bounds, TW_GEMM_DIMS);
}

/* Whether no address wraps around. */
static bool place_inside(const struct place *place, unsigned memory)
{
    int64_t depth = INT64_C(1) << banking_of(memory).address_bits;
    return place->base + place->low[0] >= 0 && place->base + place->high[0] < depth;
}

/* Whether addresses of both places may coincide. */
static bool places_meet(const struct place *x, const struct place *y, unsigned memory)
{
    int64_t unit = memory == TW_MEMORY_ACT ? BLOCK_OUT / GRANULE : 1;
    int64_t x_low = x->base + x->low[0], x_high = x->base + x->high[0];
    int64_t y_low = y->base + y->low[0], y_high = y->base + y->high[0];
    if (!place_inside(x, memory) || !place_inside(y, memory))
        return true;
    return x_low / unit <= y_high / unit && y_low / unit <= x_high / unit;
}

/* Whether both places are the same at every point, and never twice the same in a pass over groups of lanes. */
static bool same_distinct(const struct place *x, const struct place *y, const struct nest *nest, unsigned memory)
{
    const int extra = nest->dims - TW_VECTOR_DIMS;
    bool used[NEST_DIMS] = {false};
    int64_t reach = memory == TW_MEMORY_ACT ? BLOCK_OUT / GRANULE - 1 : 0;
    if (x->base != y->base)
        return false;
    for (int round = extra; round < nest->dims; round++) {
        int least = -1;
        for (int d = extra; d < nest->dims; d++)
            if (!used[d] && (least < 0 || llabs(x->stride[d]) < llabs(x->stride[least])))
                least = d;
        used[least] = true;
        if (nest->bound[least] == 1)
            continue;
        if (x->stride[least] != y->stride[least] || llabs(x->stride[least]) <= reach)
            return false;
        reach += llabs(x->stride[least]) * (int64_t)(nest->bound[least] - 1);
    }
    return true;
}

/* Results lie at their last step: the reduced loops are at their ends. */
static void set_results(struct vector_work *work, int reduce)
{
    struct nest *results = &work->results;
    struct place *result = &work->result;
    *results = work->nest;
    results->dims -= reduce;
    *result = work->dst;
    work->reduced = 1;
    for (int d = results->dims; d < work->nest.dims; d++) {
        result->base += result->stride[d] * (int64_t)(work->nest.bound[d] - 1);
        work->reduced *= work->nest.bound[d];
    }
    nest_finish(results);
    place_finish(result, results);
}

static bool operand_meets(const struct vector_work *work, const struct place *operand, unsigned memory)
{
    return memory == work->dst_memory && places_meet(operand, &work->dst, memory);
}

static bool operand_is_dst(const struct vector_work *work, const struct place *operand)
{
    return work->reduced == 1 && place_inside(&work->dst, work->dst_memory) &&
           same_distinct(operand, &work->dst, &work->nest, work->dst_memory);
}

static void set_operands(struct vector_work *work, const uint8_t *raw)
{
    unsigned function = tw_vector_function(raw);
    bool mac = function == TW_FUNCTION_MAC, residual = tw_vector_residual(raw);
    work->a_memory = (uint8_t)tw_vector_a_memory(raw);
    work->b_memory = (uint8_t)tw_vector_b_memory(raw);
    work->dst_memory = (uint8_t)tw_vector_dst_memory(raw);
    work->a_needed = function != TW_FUNCTION_ZERO;
    work->b_always = mac || (residual && work->reduced == 1);
    work->b_last = mac || residual;
    work->read_banks[0] = work->read_banks[1] = work->write_banks[0] = work->write_banks[1] = 0;
    if (work->a_needed)
        work->read_banks[work->a_memory] |= place_banks(&work->a, banking_of(work->a_memory));
    if (work->b_last)
        work->read_banks[work->b_memory] |= place_banks(&work->b, banking_of(work->b_memory));
    work->write_banks[work->dst_memory] = place_banks(&work->dst, banking_of(work->dst_memory));
    bool a_meets = work->a_needed && operand_meets(work, &work->a, work->a_memory);
    bool b_meets = work->b_last && operand_meets(work, &work->b, work->b_memory);
    work->a_is_dst = a_meets && operand_is_dst(work, &work->a);
    work->b_is_dst = b_meets && operand_is_dst(work, &work->b);
    work->meets_itself = (a_meets && !work->a_is_dst) || (b_meets && !work->b_is_dst);
}

static bool decode_vector(struct vector_work *work, const uint8_t *raw)
{
    const int extra = VECTOR_PASSES > 1;
    const uint32_t bounds[] = TW_FIELDS5(raw, vector_bound);
    const int32_t a[] = TW_FIELDS5(raw, vector_a_stride), b[] = TW_FIELDS5(raw, vector_b_stride);
    const int32_t dst[] = TW_FIELDS5(raw, vector_dst_stride);
    const uint32_t reduce = tw_vector_reduce(raw);
    if (!positive(bounds, TW_VECTOR_DIMS) || reduce > TW_VECTOR_DIMS || tw_vector_function(raw) > TW_FUNCTION_MAC)
        return false;
    if (extra)
        work->nest.bound[0] = VECTOR_PASSES;
    set_nest(&work->nest, extra, bounds, TW_VECTOR_DIMS);
    set_place(&work->a, &work->nest, extra, tw_vector_a_base(raw), a);
    set_place(&work->b, &work->nest, extra, tw_vector_b_base(raw), b);
    set_place(&work->dst, &work->nest, extra, tw_vector_dst_base(raw), dst);
    set_results(work, (int)reduce);
    set_operands(work, raw);
    return true;
}

static uint32_t cell_bytes(unsigned memory)
{
    const uint32_t bytes[] = {
        [TW_MEMORY_ACT] = GRANULE, [TW_MEMORY_ACC] = 4 * BLOCK_OUT, [TW_MEMORY_WGT] = BLOCK_IN * BLOCK_OUT,
        [TW_MEMORY_BIAS] = 4 * BLOCK_OUT, [TW_MEMORY_SCALE] = 8 * BLOCK_OUT, [TW_MEMORY_TABLE] = 1,
    };
    return bytes[memory];
}

static bool set_transfer(struct transfer_work *work, const uint32_t *bounds, const int32_t *dram_strides, uint32_t base,
                         const int32_t *mem_strides)
{
    if (!positive(bounds, TW_TRANSFER_DIMS) || work->memory > TW_MEMORY_TABLE)
        return false;
    set_nest(&work->nest, 0, bounds, TW_TRANSFER_DIMS);
    set_place(&work->mem, &work->nest, 0, base, mem_strides);
    for (int d = 0; d < 3; d++) {
        work->bound[d] = bounds[d];
        work->dram_stride[d] = dram_strides[d];
    }
    uint32_t cell = cell_bytes(work->memory);
    work->unit_bytes = MIN(cell, BUS_BYTES);
    work->unit_shift = (uint8_t)__builtin_ctz(work->unit_bytes);
    work->parts_shift = (uint8_t)__builtin_ctz(cell / work->unit_bytes);
    work->run_bytes = bounds[3] * cell;
    work->banks = work->memory <= TW_MEMORY_ACC ? place_banks(&work->mem, banking_of(work->memory)) : 0;
    return true;
}

static bool decode_load(struct transfer_work *work, const uint8_t *raw)
{
    const uint32_t bounds[] = TW_FIELDS4(raw, load_bound);
    const int32_t dram[] = TW_FIELDS3(raw, load_dram_stride), mem[] = TW_FIELDS4(raw, load_mem_stride);
    work->memory = (uint8_t)tw_load_memory(raw);
    work->segment = (uint8_t)tw_load_segment(raw);
    work->offset = tw_load_offset(raw);
    return set_transfer(work, bounds, dram, tw_load_mem_base(raw), mem);
}

static bool decode_store(struct transfer_work *work, const uint8_t *raw)
{
    const uint32_t bounds[] = TW_FIELDS4(raw, store_bound);
    const int32_t dram[] = TW_FIELDS3(raw, store_dram_stride), mem[] = TW_FIELDS4(raw, store_mem_stride);
    work->memory = (uint8_t)tw_store_memory(raw);
    work->segment = (uint8_t)tw_store_segment(raw);
    work->offset = tw_store_offset(raw);
    return work->memory <= TW_MEMORY_ACC && set_transfer(work, bounds, dram, tw_store_mem_base(raw), mem);
}

void decode(struct instruction *instruction, const uint8_t *raw, uint32_t index)
{
    instruction->index = index;
    instruction->opcode = (uint8_t)tw_bits(raw, 0, 4);
    instruction->wait = (uint8_t)tw_sync_wait(raw);
    instruction->signal = (uint8_t)tw_sync_signal(raw);
    instruction->legal = true;
    switch (instruction->opcode) {
    case TW_OPCODE_LOAD:
        instruction->engine = TW_ENGINE_LOAD;
        instruction->legal = decode_load(&instruction->transfer, raw);
        break;
    case TW_OPCODE_STORE:
        instruction->engine = TW_ENGINE_STORE;
        instruction->legal = decode_store(&instruction->transfer, raw);
        break;
    case TW_OPCODE_GEMM:
        instruction->engine = TW_ENGINE_GEMM;
        instruction->legal = decode_gemm(&instruction->gemm, raw);
        break;
    case TW_OPCODE_VECTOR:
        instruction->engine = TW_ENGINE_VECTOR;
        instruction->legal = decode_vector(&instruction->vector, raw);
        break;
    case TW_OPCODE_SYNC:
        instruction->engine = (uint8_t)tw_sync_engine(raw);
        break;
    default:
        instruction->legal = instruction->opcode == TW_OPCODE_FINISH;
    }
    if (instruction->opcode != TW_OPCODE_FINISH && (instruction->wait | instruction->signal) >> instruction->engine & 1)
        instruction->legal = false;
}
