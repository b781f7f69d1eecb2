/* A placed design as arrays, and what the annealer keeps of it. The layout of `problem` is also problem.py's. */
#ifndef PLACEMENT_H
#define PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { LUTS = 8, TILE_SLOTS = 17, RAM_WRITE = 16, DISTANCES = 128, BLOCK_SIGNALS = 12 };

enum lut_flag { CARRY = 1, LUTRAM = 2, MUX5 = 4, MUX6 = 8, MUX6_OF_MUX5 = 16, BLOCKED = 32, CLOCK_INVERTED = 64, SET_INVERTED = 128 };
enum { USES_M = 1 };

struct problem {
    /* grid: tiles of logic by rows, TILE_SLOTS slots each, then the sites of everything else */
    int32_t columns, rows, slots, cells, macros, nets, connections, arcs, ends, kinds;
    const int16_t *slot_x, *slot_y;
    const int32_t *site_kind, *site_block; /* of the slots behind the grid; block: of sites with shared control signals */
    const int32_t *kind_first, *kind_slot; /* the slots of each kind of site */
    /* cells */
    int32_t *cell_slot;
    const int32_t *cell_macro;
    const uint8_t *cell_flags;
    const int32_t *slice_class, *tile_class; /* of flip-flops: what all of a slice, all of a tile must have in common */
    const int32_t *block_signals;            /* of block sites' cells: BLOCK_SIGNALS nets or -1 */
    /* groups of cells that keep their places to each other */
    const int32_t *macro_first, *macro_cell;
    const int32_t *macro_step; /* lookup tables that it may be moved by within a tile: 1, 2, 4, 8; 0: fixed, -1: a site */
    /* wires */
    const int32_t *net_first, *net_cell, *cell_net_first, *cell_net;
    const int32_t *connection_from, *connection_to;
    const uint8_t *connection_rigid;
    const int32_t *cell_connection_first, *cell_connection;
    const float *wire_delay; /* DISTANCES by DISTANCES: of y, x */
    /* timing: nodes are nets */
    const float *launch;
    const int32_t *arc_from, *arc_connection, *arc_to; /* by levels: all arcs into a net before those from it */
    const float *arc_delay;
    const int32_t *end_from, *end_connection;
    const float *end_delay;
    float *connection_delay;
};

struct round {
    double temperature; /* tiles of wire length */
    double per_ns;      /* tiles of wire length that a ns of a connection of weight 1 is worth */
    double memory;      /* of a weight at an analysis: what remains of it at the next */
    double ends_beyond; /* share of the ends whose paths have a criticality of more than 1 */
    int32_t exponent; /* of the criticality */
    int32_t range;    /* tiles */
    int32_t critical_percent; /* of moves: those of cells at connections that matter */
    int32_t moves, moves_per_analysis;
    uint64_t seed;
};

struct figures {
    double wire_length, timing_cost;
    double worst, reference;    /* ns */
    int64_t tried, accepted;
};

struct box {
    int16_t left, right, bottom, top;
};

struct spot {
    int16_t x, y;
};

struct state {
    struct problem p;
    int32_t *occupant;
    struct spot *spot; /* of cells, as their slots have it */
    struct box *box;
    float *weight; /* of connections */
    int32_t *critical, criticals; /* connections that matter */
    float *arrival, *flow, *share, *share_sum, *connection_flow;
    uint32_t *net_stamp, *connection_stamp;
    uint32_t stamp;
    uint64_t random;
    double wire_length, timing_cost, reference;
    struct figures figures;
    struct move *move;
};

uint32_t draw(struct state *s, uint32_t below);
double draw_log(struct state *s);

bool tile_legal(const struct state *s, int32_t tile);
bool block_legal(const struct state *s, int32_t block, int32_t kind);

void analyse(struct state *s, const struct round *r);
void measure(struct state *s);
struct box net_box(const struct state *s, int32_t net);

bool move_begin(struct state *s, int32_t macro, int32_t target, int32_t step);
void move_undo(struct state *s);
double move_cost(struct state *s, double per_ns);
void move_keep(struct state *s);
struct move *move_create(const struct problem *p);
void move_destroy(struct move *m);

static inline float wire_delay(const struct state *s, int32_t connection)
{
    const struct problem *p = &s->p;
    struct spot a = s->spot[p->connection_from[connection]], b = s->spot[p->connection_to[connection]];
    int dx = a.x - b.x, dy = a.y - b.y;
    return p->wire_delay[(dy < 0 ? -dy : dy) * DISTANCES + (dx < 0 ? -dx : dx)];
}

static inline void set_slot(struct state *s, int32_t cell, int32_t slot)
{
    s->p.cell_slot[cell] = slot;
    s->spot[cell] = (struct spot){s->p.slot_x[slot], s->p.slot_y[slot]};
}

static inline int box_length(struct box b)
{
    return b.right - b.left + b.top - b.bottom;
}

#endif
