/* Simulated annealing, and the interface to Python. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "placement.h"

#define API __attribute__((visibility("default")))

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t draw_bits(struct state *s)
{
    uint64_t z = s->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t draw(struct state *s, uint32_t below)
{
    return (uint32_t)((draw_bits(s) >> 32) * below >> 32);
}

/* The logarithm of a number drawn from (0, 1]; by steps that are the same on every machine. */
double draw_log(struct state *s)
{
    int exponent;
    double m = frexp((double)((draw_bits(s) >> 11) + 1) * 0x1p-53, &exponent); /* 0.5 <= m < 1 */
    double t = (m - 1) / (m + 1), square = t * t, sum = 0;
    for (int k = 15; k > 0; k -= 2)
        sum = sum * square + 1.0 / k;
    return 2 * t * sum + exponent * 0.69314718055994531;
}

static int32_t clamp(int32_t value, int32_t below)
{
    return value < 0 ? 0 : value >= below ? below - 1 : value;
}

/* The other end of one of the macro's connections: of three drawn, the one that matters most; -1: it has none. */
static int32_t neighbour(struct state *s, int32_t macro)
{
    const struct problem *p = &s->p;
    int32_t first = p->macro_first[macro], best = -1;
    float most = -1;
    for (int i = 0; i < 3; i++) {
        int32_t cell = p->macro_cell[first + draw(s, p->macro_first[macro + 1] - first)];
        int32_t begin = p->cell_connection_first[cell], count = p->cell_connection_first[cell + 1] - begin;
        if (!count)
            continue;
        int32_t c = p->cell_connection[begin + draw(s, count)];
        if (s->weight[c] > most) {
            most = s->weight[c];
            best = p->connection_from[c] == cell ? p->connection_to[c] : p->connection_from[c];
        }
    }
    return best;
}

struct place {
    int32_t column, row;
};

/* Row and column of logic nearest to a slot, by bisection over the rows, of which some hold no logic. */
static struct place nearest(const struct problem *p, int32_t slot)
{
    if (slot < p->columns * p->rows * TILE_SLOTS)
        return (struct place){slot / TILE_SLOTS % p->columns, slot / TILE_SLOTS / p->columns};
    int32_t low = 0, high = p->rows - 1;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (p->slot_y[middle * p->columns * TILE_SLOTS] < p->slot_y[slot])
            low = middle + 1;
        else
            high = middle;
    }
    return (struct place){clamp(p->slot_x[slot] - p->slot_x[0], p->columns), low};
}

/* Where to: anywhere within range, or part of the way to a cell that it is connected to, and a little beside that. */
static struct place choose_place(struct state *s, int32_t macro, struct place now, int32_t range)
{
    const struct problem *p = &s->p;
    struct place to = now;
    int32_t beside = range;
    if (draw(s, 2)) {
        int32_t other = neighbour(s, macro);
        if (other >= 0) {
            struct place there = nearest(p, p->cell_slot[other]);
            int32_t part = 1 + (int32_t)draw(s, 8);
            to.column += (there.column - now.column) * part / 8;
            to.row += (there.row - now.row) * part / 8;
            beside = range < 3 ? range : 3;
        }
    }
    to.column = clamp(to.column + (int32_t)draw(s, 2 * beside + 1) - beside, p->columns);
    to.row = clamp(to.row + (int32_t)draw(s, 2 * beside + 1) - beside, p->rows);
    return to;
}

/* A place in a tile, free if one drawn of eight is. */
static int32_t choose_lut(struct state *s, int32_t macro, int32_t tile, int32_t step)
{
    const struct problem *p = &s->p;
    const int32_t *at = s->occupant + (int64_t)tile * TILE_SLOTS;
    int32_t start = (int32_t)draw(s, LUTS / step) * step;
    if (draw(s, 4) == 0)
        return start;
    for (int32_t i = 0; i < LUTS; i += step) {
        int32_t lut = (start + i) % LUTS, cell = p->macro_first[macro];
        for (; cell < p->macro_first[macro + 1]; cell++) {
            int32_t place = p->cell_slot[p->macro_cell[cell]] % TILE_SLOTS;
            if (at[place / LUTS * LUTS + (lut + place % step) % LUTS] >= 0)
                break;
        }
        if (cell == p->macro_first[macro + 1])
            return lut;
    }
    return start;
}

/* The slot that the first cell of a macro is to go to. */
static int32_t choose_target(struct state *s, int32_t macro, int32_t step, int32_t range)
{
    const struct problem *p = &s->p;
    int32_t slot = p->cell_slot[p->macro_cell[p->macro_first[macro]]];
    if (step < 0) {
        int32_t kind = p->site_kind[slot - p->columns * p->rows * TILE_SLOTS], first = p->kind_first[kind];
        return p->kind_slot[first + draw(s, p->kind_first[kind + 1] - first)];
    }
    struct place to = choose_place(s, macro, nearest(p, slot), range);
    int32_t tile = to.row * p->columns + to.column, place = slot % TILE_SLOTS;
    if (step < LUTS) {
        int32_t lut = choose_lut(s, macro, tile, step);
        place = place / LUTS * LUTS + lut + place % LUTS % step;
    }
    return tile * TILE_SLOTS + place;
}

/* Any, or one at an end of a connection that matters. */
static int32_t choose_macro(struct state *s, const struct round *r)
{
    const struct problem *p = &s->p;
    if (!s->criticals || draw(s, 100) >= (uint32_t)r->critical_percent)
        return (int32_t)draw(s, p->macros);
    int32_t c = s->critical[draw(s, s->criticals)];
    return p->cell_macro[draw(s, 2) ? p->connection_from[c] : p->connection_to[c]];
}

static void try_move(struct state *s, const struct round *r)
{
    const struct problem *p = &s->p;
    int32_t macro = choose_macro(s, r), step = p->macro_step[macro];
    if (step == 0)
        return;
    int32_t target = choose_target(s, macro, step, r->range);
    if (target == p->cell_slot[p->macro_cell[p->macro_first[macro]]] || !move_begin(s, macro, target, step))
        return;
    double change = move_cost(s, r->per_ns);
    s->figures.tried++;
    if (change <= 0 || change < -r->temperature * draw_log(s)) {
        move_keep(s);
        s->figures.accepted++;
    } else {
        move_undo(s);
    }
}

/* Try moves at one temperature. */
API void placement_round(struct state *s, const struct round *r, struct figures *figures)
{
    s->random = r->seed;
    s->figures.tried = s->figures.accepted = 0;
    measure(s);
    for (int32_t move = 0; move < r->moves; move++) {
        if (move % r->moves_per_analysis == 0)
            analyse(s, r);
        try_move(s, r);
    }
    measure(s);
    analyse(s, r);
    s->figures.wire_length = s->wire_length;
    s->figures.timing_cost = s->timing_cost;
    *figures = s->figures;
}

static void occupy(struct state *s)
{
    memset(s->occupant, -1, (size_t)s->p.slots * sizeof *s->occupant);
    for (int32_t cell = 0; cell < s->p.cells; cell++) {
        int32_t slot = s->p.cell_slot[cell];
        s->occupant[slot] = cell;
        set_slot(s, cell, slot);
    }
}

API int64_t placement_illegal(const struct state *s)
{
    int64_t illegal = 0;
    for (int32_t tile = 0; tile < s->p.columns * s->p.rows; tile++)
        illegal += !tile_legal(s, tile);
    for (int32_t site = 0; site < s->p.slots - s->p.columns * s->p.rows * TILE_SLOTS; site++)
        illegal += s->p.site_block[site] >= 0 && !block_legal(s, s->p.site_block[site], s->p.site_kind[site]);
    return illegal;
}

API void placement_close(struct state *s)
{
    if (!s)
        return;
    void *parts[] = {s->occupant, s->spot, s->box, s->weight, s->critical, s->arrival, s->flow, s->share, s->share_sum, s->connection_flow, s->net_stamp, s->connection_stamp};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        free(parts[i]);
    move_destroy(s->move);
    free(s);
}

/* NULL: there is no memory. */
API struct state *placement_open(const struct problem *p)
{
    struct state *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    size_t nets = (size_t)p->nets + 1, connections = (size_t)p->connections + 1;
    s->p = *p;
    s->occupant = malloc(((size_t)p->slots + 1) * sizeof *s->occupant);
    s->spot = calloc((size_t)p->cells + 1, sizeof *s->spot);
    s->box = calloc(nets, sizeof *s->box);
    s->weight = calloc(connections, sizeof *s->weight);
    s->critical = calloc(connections, sizeof *s->critical);
    s->arrival = calloc(nets, sizeof *s->arrival);
    s->flow = calloc(nets, sizeof *s->flow);
    s->share = calloc((size_t)p->arcs + 1, sizeof *s->share);
    s->share_sum = calloc(nets, sizeof *s->share_sum);
    s->connection_flow = calloc(connections, sizeof *s->connection_flow);
    s->net_stamp = calloc(nets, sizeof *s->net_stamp);
    s->connection_stamp = calloc(connections, sizeof *s->connection_stamp);
    s->move = move_create(p);
    if (!s->occupant || !s->spot || !s->box || !s->weight || !s->critical || !s->arrival || !s->flow || !s->share || !s->share_sum || !s->connection_flow || !s->net_stamp ||
        !s->connection_stamp || !s->move) {
        placement_close(s);
        return NULL;
    }
    occupy(s);
    return s;
}
