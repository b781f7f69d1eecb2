/* LOAD and STORE. */
#include "decode.h"
#include "machine.h"
#include "shadow.h"

struct transfer {
    uint32_t memory, row_mask, segment, offset, base;
    uint32_t bound[TW_TRANSFER_DIMS];
    int32_t dram_stride[TW_TRANSFER_DIMS - 1], mem_stride[TW_TRANSFER_DIMS];
};

struct storage {
    uint8_t *bytes;
    size_t depth, cell_bytes;
};

static struct storage storage_of(struct machine *m, uint32_t memory, int row)
{
    switch (memory) {
    case TW_MEMORY_ACT: return (struct storage){(uint8_t *)m->act[row], ACT_DEPTH, GRANULE};
    case TW_MEMORY_ACC: return (struct storage){(uint8_t *)m->acc[row], ACC_DEPTH, BLOCK_OUT * 4};
    case TW_MEMORY_WGT: return (struct storage){(uint8_t *)m->wgt, WGT_DEPTH, TILE_BYTES};
    case TW_MEMORY_BIAS: return (struct storage){(uint8_t *)m->bias, BIAS_DEPTH, BLOCK_OUT * 4};
    case TW_MEMORY_SCALE: return (struct storage){(uint8_t *)m->scale, SCALE_DEPTH, BLOCK_OUT * 8};
    default: return (struct storage){(uint8_t *)m->table, TABLE_ENTRIES, 1};
    }
}

/* Finds the run's bytes in DRAM. */
static uint32_t locate(const struct launch *launch, const struct transfer *t, uint32_t start, size_t cell_bytes,
                       uint32_t bus_error, uint8_t **bytes)
{
    uint64_t unit = cell_bytes < BUS_BYTES ? cell_bytes : BUS_BYTES;
    uint64_t length = (uint64_t)t->bound[3] * cell_bytes;
    uint64_t base = launch->segment_base[t->segment];
    if (start % unit)
        return TW_ERROR_ALIGNMENT;
    if (start + length > launch->segment_limit[t->segment])
        return TW_ERROR_SEGMENT_LIMIT;
    if (base + start < base || base + start < launch->dram_base)
        return bus_error;
    uint64_t position = base + start - launch->dram_base;
    if (position > launch->dram_size || length > launch->dram_size - position)
        return bus_error;
    *bytes = launch->dram + position;
    return TW_ERROR_NONE;
}

static void load_cells(struct machine *m, uint32_t memory, int row, uint32_t cell, uint32_t count,
                       const uint8_t *from)
{
    struct storage s = storage_of(m, memory, row);
    memcpy(s.bytes + cell * s.cell_bytes, from, count * s.cell_bytes);
    if (memory == TW_MEMORY_ACT)
        shadow_act(m, row, cell * s.cell_bytes, count * s.cell_bytes);
    if (memory == TW_MEMORY_WGT)
        for (uint32_t i = 0; i < count; i++)
            shadow_wgt(m, cell + i);
}

/* One run into one copy of a memory; cells that lie side by side there too are moved together. */
static void load_run(struct machine *m, const struct transfer *t, int row, uint32_t address, const uint8_t *from)
{
    struct storage s = storage_of(m, t->memory, row);
    uint32_t mask = (uint32_t)s.depth - 1, count = t->bound[3];
    if (t->mem_stride[3] == 1 && (address & mask) + count <= s.depth) {
        load_cells(m, t->memory, row, address & mask, count, from);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        load_cells(m, t->memory, row, (address + (uint32_t)t->mem_stride[3] * i) & mask, 1, from + i * s.cell_bytes);
}

uint32_t run_load(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    struct transfer t = {
        .memory = tw_load_memory(raw), .row_mask = tw_load_row_mask(raw),
        .segment = tw_load_segment(raw), .offset = tw_load_offset(raw), .base = tw_load_mem_base(raw),
        .bound = FIELDS4(raw, load_bound), .dram_stride = FIELDS3(raw, load_dram_stride),
        .mem_stride = FIELDS4(raw, load_mem_stride),
    };
    int per_row = t.memory == TW_MEMORY_ACT || t.memory == TW_MEMORY_ACC, changed;
    uint32_t index[TW_TRANSFER_DIMS - 1] = {0};
    do {
        uint32_t start = address_of(t.offset, t.dram_stride, index, TW_TRANSFER_DIMS - 1);
        uint32_t address = address_of(t.base, t.mem_stride, index, TW_TRANSFER_DIMS - 1);
        uint8_t *from;
        uint32_t error = locate(launch, &t, start, storage_of(m, t.memory, 0).cell_bytes, TW_ERROR_BUS_READ, &from);
        if (error)
            return error;
        for (int row = 0; row < (per_row ? ROWS : 1); row++)
            if (!per_row || t.row_mask >> row & 1)
                load_run(m, &t, row, address, from);
    } while (next_point(index, t.bound, TW_TRANSFER_DIMS - 1, &changed));
    return TW_ERROR_NONE;
}

uint32_t run_store(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    struct transfer t = {
        .memory = tw_store_memory(raw), .segment = tw_store_segment(raw),
        .offset = tw_store_offset(raw), .base = tw_store_mem_base(raw), .bound = FIELDS4(raw, store_bound),
        .dram_stride = FIELDS3(raw, store_dram_stride), .mem_stride = FIELDS4(raw, store_mem_stride),
    };
    struct storage s = storage_of(m, t.memory, (int)(tw_store_row(raw) % ROWS));
    uint32_t index[TW_TRANSFER_DIMS - 1] = {0}, mask = (uint32_t)s.depth - 1;
    int changed;
    do {
        uint32_t start = address_of(t.offset, t.dram_stride, index, TW_TRANSFER_DIMS - 1);
        uint32_t address = address_of(t.base, t.mem_stride, index, TW_TRANSFER_DIMS - 1);
        uint8_t *to;
        uint32_t error = locate(launch, &t, start, s.cell_bytes, TW_ERROR_BUS_WRITE, &to);
        if (error)
            return error;
        for (uint32_t i = 0; i < t.bound[3]; i++) {
            uint32_t cell = (address + (uint32_t)t.mem_stride[3] * i) & mask;
            memcpy(to + i * s.cell_bytes, s.bytes + cell * s.cell_bytes, s.cell_bytes);
        }
    } while (next_point(index, t.bound, TW_TRANSFER_DIMS - 1, &changed));
    return TW_ERROR_NONE;
}

/* The back door: where a memory lies, and what to do after it was written there. */

void *machine_memory(struct machine *m, uint32_t memory, uint32_t row)
{
    return storage_of(m, memory, (int)(row % ROWS)).bytes;
}

void machine_touched(struct machine *m, uint32_t memory, uint32_t row)
{
    if (memory == TW_MEMORY_ACT)
        shadow_act(m, (int)(row % ROWS), 0, ACT_BYTES);
    if (memory == TW_MEMORY_WGT)
        for (size_t tile = 0; tile < WGT_DEPTH; tile++)
            shadow_wgt(m, tile);
}
