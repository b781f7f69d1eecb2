/* What may stand together: the rules of nextpnr's ECP5 architecture for a tile of logic and for a block of multipliers. */
#include "placement.h"

static int lut_flags(const struct state *s, const int32_t *at, int lut)
{
    return at[lut] < 0 ? -1 : s->p.cell_flags[at[lut]];
}

static bool lut_legal(const struct state *s, const int32_t *at, int lut)
{
    int flags = lut_flags(s, at, lut);
    if (flags < 0)
        return true;
    int slice = lut / 2;
    if ((flags & MUX5) && lut % 2 != 0)
        return false;
    if ((flags & MUX6) && lut % 2 != 1)
        return false;
    if ((flags & MUX6_OF_MUX5) && slice % 2 != 0)
        return false;
    if ((flags & LUTRAM) && slice > 1)
        return false;
    return !(slice == 2 && at[RAM_WRITE] >= 0 && !(flags & BLOCKED));
}

static bool slice_legal(const struct state *s, const int32_t *at, int slice)
{
    const struct problem *p = &s->p;
    int even = lut_flags(s, at, 2 * slice), odd = lut_flags(s, at, 2 * slice + 1);
    if (even >= 0 && odd >= 0 && ((even ^ odd) & CARRY))
        return false;
    int32_t class = -1;
    for (int lut = 2 * slice; lut < 2 * slice + 2; lut++) {
        int32_t ff = at[LUTS + lut];
        int flags = lut % 2 ? odd : even;
        if (!lut_legal(s, at, lut))
            return false;
        if (ff < 0)
            continue;
        if (flags >= 0 && (flags & (MUX5 | MUX6)) && (p->cell_flags[ff] & USES_M))
            return false;
        if (class >= 0 && p->slice_class[ff] != class)
            return false;
        class = p->slice_class[ff];
    }
    return true;
}

/* Flip-flops share clock and set/reset; where there is LUT memory, also whether those are inverted. */
static bool controls_legal(const struct state *s, const int32_t *at)
{
    const struct problem *p = &s->p;
    const int inversions = CLOCK_INVERTED | SET_INVERTED;
    int32_t class = -1;
    int memory = -1;
    for (int lut = 0; lut < 4; lut++)
        if (at[lut] >= 0 && (p->cell_flags[at[lut]] & LUTRAM)) {
            int now = p->cell_flags[at[lut]] & inversions;
            if (memory >= 0 && memory != now)
                return false;
            memory = now;
        }
    for (int lut = 0; lut < LUTS; lut++) {
        int32_t ff = at[LUTS + lut];
        if (ff < 0)
            continue;
        if (class >= 0 && p->tile_class[ff] != class)
            return false;
        if (memory >= 0 && (p->cell_flags[ff] & inversions) != memory)
            return false;
        class = p->tile_class[ff];
    }
    return true;
}

bool tile_legal(const struct state *s, int32_t tile)
{
    const int32_t *at = s->occupant + (int64_t)tile * TILE_SLOTS;
    for (int slice = 0; slice < LUTS / 2; slice++)
        if (!slice_legal(s, at, slice))
            return false;
    return controls_legal(s, at);
}

/* A block has one wire for each of its ports: clocks, enables and resets. nextpnr exchanges a multiplier's ports to that
 * end after it has placed it, and does not do it again. */
bool block_legal(const struct state *s, int32_t block, int32_t kind)
{
    const struct problem *p = &s->p;
    int32_t known[BLOCK_SIGNALS];
    int32_t grid = p->columns * p->rows * TILE_SLOTS;
    for (int k = 0; k < BLOCK_SIGNALS; k++)
        known[k] = -1;
    for (int32_t i = p->kind_first[kind]; i < p->kind_first[kind + 1]; i++) {
        int32_t slot = p->kind_slot[i], cell = s->occupant[slot];
        if (cell < 0 || p->site_block[slot - grid] != block)
            continue;
        const int32_t *signals = p->block_signals + (int64_t)cell * BLOCK_SIGNALS;
        for (int k = 0; k < BLOCK_SIGNALS; k++) {
            if (signals[k] >= 0 && known[k] >= 0 && signals[k] != known[k])
                return false;
            known[k] = signals[k] >= 0 ? signals[k] : known[k];
        }
    }
    return true;
}
