/* LOAD and STORE. */
#include "decode.h"
#include "machine.h"
#include "shadow.h"

struct transfer {
    uint32_t memory, row_mask, segment, offset, base;
    uint32_t bound[TRANSFER_DIMS];
    int32_t dram_stride[TRANSFER_DIMS - 1], mem_stride[TRANSFER_DIMS];
};

struct storage {
    uint8_t *bytes;
    size_t depth, cell_bytes;
};

static struct storage storage_of(struct machine *m, uint32_t memory, int row)
{
    switch (memory) {
    case MEMORY_ACT: return (struct storage){(uint8_t *)m->act[row], ACT_DEPTH, GRANULE};
    case MEMORY_ACC: return (struct storage){(uint8_t *)m->acc[row], ACC_DEPTH, BLOCK_OUT * 4};
    case MEMORY_WGT: return (struct storage){(uint8_t *)m->wgt, WGT_DEPTH, TILE_BYTES};
    case MEMORY_BIAS: return (struct storage){(uint8_t *)m->bias, BIAS_DEPTH, BLOCK_OUT * 4};
    case MEMORY_SCALE: return (struct storage){(uint8_t *)m->scale, SCALE_DEPTH, BLOCK_OUT * 8};
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
        return ERROR_ALIGNMENT;
    if (start + length > launch->segment_limit[t->segment])
        return ERROR_SEGMENT_LIMIT;
    if (base + start < base || base + start < launch->dram_base)
        return bus_error;
    uint64_t position = base + start - launch->dram_base;
    if (position > launch->dram_size || length > launch->dram_size - position)
        return bus_error;
    *bytes = launch->dram + position;
    return ERROR_NONE;
}

static void load_cells(struct machine *m, uint32_t memory, int row, uint32_t cell, uint32_t count,
                       const uint8_t *from)
{
    struct storage s = storage_of(m, memory, row);
    memcpy(s.bytes + cell * s.cell_bytes, from, count * s.cell_bytes);
    if (memory == MEMORY_ACT)
        shadow_act(m, row, cell * s.cell_bytes, count * s.cell_bytes);
    if (memory == MEMORY_WGT)
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
        .memory = FIELD(raw, LOAD_MEMORY), .row_mask = FIELD(raw, LOAD_ROW_MASK),
        .segment = FIELD(raw, LOAD_SEGMENT), .offset = FIELD(raw, LOAD_OFFSET), .base = FIELD(raw, LOAD_MEM_BASE),
        .bound = FIELDS4(raw, LOAD_BOUND), .dram_stride = SIGNED3(raw, LOAD_DRAM_STRIDE),
        .mem_stride = SIGNED4(raw, LOAD_MEM_STRIDE),
    };
    int per_row = t.memory == MEMORY_ACT || t.memory == MEMORY_ACC, changed;
    uint32_t index[TRANSFER_DIMS - 1] = {0};
    do {
        uint32_t start = address_of(t.offset, t.dram_stride, index, TRANSFER_DIMS - 1);
        uint32_t address = address_of(t.base, t.mem_stride, index, TRANSFER_DIMS - 1);
        uint8_t *from;
        uint32_t error = locate(launch, &t, start, storage_of(m, t.memory, 0).cell_bytes, ERROR_BUS_READ, &from);
        if (error)
            return error;
        for (int row = 0; row < (per_row ? ROWS : 1); row++)
            if (!per_row || t.row_mask >> row & 1)
                load_run(m, &t, row, address, from);
    } while (next_point(index, t.bound, TRANSFER_DIMS - 1, &changed));
    return ERROR_NONE;
}

uint32_t run_store(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    struct transfer t = {
        .memory = FIELD(raw, STORE_MEMORY), .segment = FIELD(raw, STORE_SEGMENT),
        .offset = FIELD(raw, STORE_OFFSET), .base = FIELD(raw, STORE_MEM_BASE), .bound = FIELDS4(raw, STORE_BOUND),
        .dram_stride = SIGNED3(raw, STORE_DRAM_STRIDE), .mem_stride = SIGNED4(raw, STORE_MEM_STRIDE),
    };
    struct storage s = storage_of(m, t.memory, (int)(FIELD(raw, STORE_ROW) % ROWS));
    uint32_t index[TRANSFER_DIMS - 1] = {0}, mask = (uint32_t)s.depth - 1;
    int changed;
    do {
        uint32_t start = address_of(t.offset, t.dram_stride, index, TRANSFER_DIMS - 1);
        uint32_t address = address_of(t.base, t.mem_stride, index, TRANSFER_DIMS - 1);
        uint8_t *to;
        uint32_t error = locate(launch, &t, start, s.cell_bytes, ERROR_BUS_WRITE, &to);
        if (error)
            return error;
        for (uint32_t i = 0; i < t.bound[3]; i++) {
            uint32_t cell = (address + (uint32_t)t.mem_stride[3] * i) & mask;
            memcpy(to + i * s.cell_bytes, s.bytes + cell * s.cell_bytes, s.cell_bytes);
        }
    } while (next_point(index, t.bound, TRANSFER_DIMS - 1, &changed));
    return ERROR_NONE;
}

/* The back door: where a memory lies, and what to do after it was written there. */

void *machine_memory(struct machine *m, uint32_t memory, uint32_t row)
{
    return storage_of(m, memory, (int)(row % ROWS)).bytes;
}

void machine_touched(struct machine *m, uint32_t memory, uint32_t row)
{
    if (memory == MEMORY_ACT)
        shadow_act(m, (int)(row % ROWS), 0, ACT_BYTES);
    if (memory == MEMORY_WGT)
        for (size_t tile = 0; tile < WGT_DEPTH; tile++)
            shadow_wgt(m, tile);
}
