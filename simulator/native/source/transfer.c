/* LOAD and STORE. */
#include "walk.h"
#include "forms.h"

#define OUTER (TW_TRANSFER_DIMS - 1)
#define PREFETCH_BYTES 1024
#define PREFETCH_RUNS 6

/* `rows`: the mask of a LOAD, the row of a STORE. */
struct transfer {
    uint32_t memory, rows, segment, offset, base;
    uint32_t bound[TW_TRANSFER_DIMS];
    int32_t dram_stride[OUTER], mem_stride[TW_TRANSFER_DIMS];
};

/* Finds a run of `length` bytes in DRAM. */
static uint32_t locate(const struct launch *launch, const struct transfer *t, uint32_t start, uint64_t length,
                       uint32_t cell_bytes, uint32_t bus_error, uint8_t **bytes)
{
    uint32_t unit = cell_bytes < BUS_BYTES ? cell_bytes : BUS_BYTES;
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

/* Whether every run is aligned, below the limit and in DRAM, and no offset wraps: then none needs a look of its own. */
static int all_allowed(const struct launch *launch, const struct transfer *t, uint64_t length, uint32_t cell_bytes)
{
    uint32_t unit = cell_bytes < BUS_BYTES ? cell_bytes : BUS_BYTES, low_bits = 0;
    int64_t low = t->offset, high = t->offset;
    uint8_t *bytes;
    for (int d = 0; d < OUTER; d++) {
        int64_t reach = (int64_t)t->dram_stride[d] * (t->bound[d] - 1);
        *(reach < 0 ? &low : &high) += reach;
        low_bits |= t->bound[d] > 1 ? (uint32_t)t->dram_stride[d] : 0;
    }
    return low >= 0 && high <= UINT32_MAX && low_bits % unit == 0 &&
           !locate(launch, t, (uint32_t)low, length, cell_bytes, TW_ERROR_BUS_READ, &bytes) &&
           !locate(launch, t, (uint32_t)high, length, cell_bytes, TW_ERROR_BUS_READ, &bytes);
}

/* Cells side by side in the memory, from DRAM. */
static inline void load_cells(struct machine *m, uint32_t memory, int row, uint32_t cell, uint32_t count,
                              const uint8_t *from)
{
    struct storage s = storage_of(m, memory, row);
    switch (memory) {
    case TW_MEMORY_ACT: write_act(m, row, cell, count, from); break;
    case TW_MEMORY_WGT:
        for (uint32_t i = 0; i < count; i++)
            write_wgt(m, cell + i, from + i * TILE_BYTES);
        break;
    default: memcpy(s.bytes + (size_t)cell * s.cell_bytes, from, (size_t)count * s.cell_bytes);
    }
}

/* One run into one copy of a memory; cells that lie side by side there too are moved together. */
static inline void load_run(struct machine *m, const struct transfer *t, int row, uint32_t address, const uint8_t *from)
{
    struct storage s = storage_of(m, t->memory, row);
    uint32_t mask = s.depth - 1, count = t->bound[OUTER];
    if (t->mem_stride[OUTER] == 1 && (address & mask) + count <= s.depth) {
        load_cells(m, t->memory, row, address & mask, count, from);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        load_cells(m, t->memory, row, (address + (uint32_t)t->mem_stride[OUTER] * i) & mask, 1,
                   from + (size_t)i * s.cell_bytes);
}

/* What comes next: further on in a long run, or some runs ahead. */
static inline void prefetch(const struct transfer *t, const uint8_t *from, size_t length)
{
    ptrdiff_t ahead = length < PREFETCH_BYTES ? (ptrdiff_t)t->dram_stride[OUTER - 1] * PREFETCH_RUNS : PREFETCH_BYTES;
    uintptr_t next = (uintptr_t)from + (uintptr_t)ahead;
    for (size_t byte = 0; byte < length; byte += 64)
        __builtin_prefetch((const void *)(next + byte));
}

static inline void load_run_to_rows(struct machine *m, const struct transfer *t, uint32_t address, uint8_t *from)
{
    prefetch(t, from, (size_t)t->bound[OUTER] * storage_of(m, t->memory, 0).cell_bytes);
    if (t->memory != TW_MEMORY_ACT && t->memory != TW_MEMORY_ACC)
        load_run(m, t, 0, address, from);
    else
        for (int row = 0; row < ROWS; row++)
            if (t->rows >> row & 1)
                load_run(m, t, row, address, from);
}

static inline void store_cells(struct machine *m, uint32_t memory, int row, uint32_t cell, uint32_t count, uint8_t *to)
{
    if (memory == TW_MEMORY_ACT)
        read_act(m, row, cell, count, to);
    else
        memcpy(to, m->acc[row][cell], (size_t)count * BLOCK_OUT * 4);
}

static inline void store_run(struct machine *m, const struct transfer *t, uint32_t address, uint8_t *to)
{
    int row = (int)(t->rows % ROWS);
    struct storage s = storage_of(m, t->memory, row);
    uint32_t mask = s.depth - 1, count = t->bound[OUTER];
    if (t->mem_stride[OUTER] == 1 && (address & mask) + count <= s.depth) {
        store_cells(m, t->memory, row, address & mask, count, to);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        store_cells(m, t->memory, row, (address + (uint32_t)t->mem_stride[OUTER] * i) & mask, 1,
                    to + (size_t)i * s.cell_bytes);
}

static inline __attribute__((always_inline)) uint32_t run_transfer(
    struct machine *m, const struct launch *launch, const struct transfer *t, uint32_t bus_error,
    void (*move)(struct machine *, const struct transfer *, uint32_t, uint8_t *))
{
    uint32_t index[OUTER] = {0}, cell_bytes = storage_of(m, t->memory, 0).cell_bytes;
    uint64_t length = (uint64_t)t->bound[OUTER] * cell_bytes;
    int allowed = all_allowed(launch, t, length, cell_bytes), changed;
    do {
        uint32_t start = address_of(t->offset, t->dram_stride, index, OUTER - 1);
        uint32_t address = address_of(t->base, t->mem_stride, index, OUTER - 1);
        for (uint32_t i = 0; i < t->bound[OUTER - 1]; i++) {
            uint8_t *bytes = launch->dram + (launch->segment_base[t->segment] - launch->dram_base + start);
            uint32_t error = allowed ? 0 : locate(launch, t, start, length, cell_bytes, bus_error, &bytes);
            if (error)
                return error;
            move(m, t, address, bytes);
            start += (uint32_t)t->dram_stride[OUTER - 1];
            address += (uint32_t)t->mem_stride[OUTER - 1];
        }
    } while (next_point(index, t->bound, OUTER - 1, &changed));
    return TW_ERROR_NONE;
}

static struct transfer load_of(const uint8_t *raw)
{
    return (struct transfer){
        .memory = tw_load_memory(raw), .rows = tw_load_row_mask(raw), .segment = tw_load_segment(raw),
        .offset = tw_load_offset(raw), .base = tw_load_mem_base(raw), .bound = TW_FIELDS4(raw, load_bound),
        .dram_stride = TW_FIELDS3(raw, load_dram_stride), .mem_stride = TW_FIELDS4(raw, load_mem_stride),
    };
}

static struct transfer store_of(const uint8_t *raw)
{
    return (struct transfer){
        .memory = tw_store_memory(raw), .rows = tw_store_row(raw), .segment = tw_store_segment(raw),
        .offset = tw_store_offset(raw), .base = tw_store_mem_base(raw), .bound = TW_FIELDS4(raw, store_bound),
        .dram_stride = TW_FIELDS3(raw, store_dram_stride), .mem_stride = TW_FIELDS4(raw, store_mem_stride),
    };
}

uint32_t run_load(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    struct transfer t = load_of(raw);
    return run_transfer(m, launch, &t, TW_ERROR_BUS_READ, load_run_to_rows);
}

uint32_t run_store(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    struct transfer t = store_of(raw);
    return run_transfer(m, launch, &t, TW_ERROR_BUS_WRITE, store_run);
}

int transfer_allowed(struct machine *m, const struct launch *launch, const uint8_t *raw)
{
    uint32_t opcode = tw_finish_opcode(raw);
    if (opcode != TW_OPCODE_LOAD && opcode != TW_OPCODE_STORE)
        return 1;
    struct transfer t = opcode == TW_OPCODE_LOAD ? load_of(raw) : store_of(raw);
    uint32_t cell_bytes = storage_of(m, t.memory, 0).cell_bytes;
    return all_allowed(launch, &t, (uint64_t)t.bound[OUTER] * cell_bytes, cell_bytes);
}
