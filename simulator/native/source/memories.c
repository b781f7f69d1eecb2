/* The back door: a machine from nothing to nothing, and its memories as they would lie in DRAM. */
#include <stdlib.h>

#include "forms.h"
#include "gemm.h"
#include "helper.h"
#include "overlap.h"

struct machine *machine_create(void)
{
    struct machine *m = aligned_alloc(64, (sizeof *m + 63) / 64 * 64);
    static const uint8_t zeros[GRANULE];
    if (!m)
        return NULL;
    memset(m, 0, sizeof *m);
    for (int row = 0; row < ROWS; row++)
        for (size_t granule = 0; granule < ACT_DEPTH; granule++)
            write_act(m, row, granule, 1, zeros);
    return m;
}

void machine_destroy(struct machine *m)
{
    gemm_plans_forget(m);
    if (m->core)
        overlap_forget(m->core->overlap);
    if (m->helper)
        helper_stop(m->helper);
    free(m->core);
    free(m);
}

/* Copies all of a memory out. */
void machine_peek(struct machine *m, uint32_t memory, uint32_t row, uint8_t *to)
{
    struct storage s = storage_of(m, memory, (int)row);
    if (memory == TW_MEMORY_ACT)
        read_act(m, (int)row, 0, ACT_DEPTH, to);
    else if (memory == TW_MEMORY_WGT)
        for (size_t tile = 0; tile < WGT_DEPTH; tile++)
            read_wgt(m, tile, to + tile * TILE_BYTES);
    else
        memcpy(to, s.bytes, (size_t)s.depth * s.cell_bytes);
}

/* Replaces all of a memory. */
void machine_poke(struct machine *m, uint32_t memory, uint32_t row, const uint8_t *from)
{
    struct storage s = storage_of(m, memory, (int)row);
    if (memory == TW_MEMORY_ACT)
        write_act(m, (int)row, 0, ACT_DEPTH, from);
    else if (memory == TW_MEMORY_WGT)
        for (size_t tile = 0; tile < WGT_DEPTH; tile++)
            write_wgt(m, tile, from + tile * TILE_BYTES);
    else
        memcpy(s.bytes, from, (size_t)s.depth * s.cell_bytes);
}
