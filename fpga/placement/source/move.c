/* One move: a macro goes to another place, and what stands there goes to the macro's. */
#include <stdlib.h>
#include <string.h>

#include "placement.h"

enum { MOST_MACROS = 64 };

struct move {
    int32_t macro[MOST_MACROS], macros;
    int32_t *cell, *from, *to, cells; /* of all macros that move */
    int32_t *tile, tiles;
    int32_t *net, nets;
    struct box *box;
    int32_t *connection, connections;
    float *delay;
    double wire_change, timing_change;
};

struct move *move_create(const struct problem *p)
{
    struct move *m = calloc(1, sizeof *m);
    size_t cells = (size_t)p->cells + 1, nets = (size_t)p->nets + 1, connections = (size_t)p->connections + 1;
    if (!m)
        return NULL;
    m->cell = malloc(cells * sizeof *m->cell);
    m->from = malloc(cells * sizeof *m->from);
    m->to = malloc(cells * sizeof *m->to);
    m->tile = malloc(2 * cells * sizeof *m->tile);
    m->net = malloc(nets * sizeof *m->net);
    m->box = malloc(nets * sizeof *m->box);
    m->connection = malloc(connections * sizeof *m->connection);
    m->delay = malloc(connections * sizeof *m->delay);
    if (m->cell && m->from && m->to && m->tile && m->net && m->box && m->connection && m->delay)
        return m;
    move_destroy(m);
    return NULL;
}

void move_destroy(struct move *m)
{
    if (!m)
        return;
    void *parts[] = {m->cell, m->from, m->to, m->tile, m->net, m->box, m->connection, m->delay};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        free(parts[i]);
    free(m);
}

/* A slot of the grid `tiles` columns and rows, and `luts` places in the tile, further on; -1: there is none. */
static int32_t shifted(const struct problem *p, int32_t slot, int32_t columns, int32_t rows, int32_t luts)
{
    int32_t tile = slot / TILE_SLOTS, place = slot % TILE_SLOTS;
    int32_t column = tile % p->columns + columns, row = tile / p->columns + rows;
    if (column < 0 || column >= p->columns || row < 0 || row >= p->rows)
        return -1;
    if (place != RAM_WRITE) {
        int32_t lut = place % LUTS + luts;
        if (lut < 0 || lut >= LUTS)
            return -1;
        place += luts;
    }
    return (row * p->columns + column) * TILE_SLOTS + place;
}

struct shift {
    int32_t columns, rows, luts; /* in the grid */
    int32_t site;                /* or to this one */
};

static bool add_macro(struct state *s, int32_t macro, struct shift by)
{
    const struct problem *p = &s->p;
    struct move *m = s->move;
    if (m->macros == MOST_MACROS)
        return false;
    m->macro[m->macros++] = macro;
    for (int32_t i = p->macro_first[macro]; i < p->macro_first[macro + 1]; i++) {
        int32_t cell = p->macro_cell[i], from = p->cell_slot[cell];
        int32_t to = by.site >= 0 ? by.site : shifted(p, from, by.columns, by.rows, by.luts);
        if (to < 0)
            return false;
        m->cell[m->cells] = cell;
        m->from[m->cells] = from;
        m->to[m->cells++] = to;
    }
    return true;
}

static bool moves_already(const struct move *m, int32_t macro)
{
    for (int32_t i = 0; i < m->macros; i++)
        if (m->macro[i] == macro)
            return true;
    return false;
}

/* What stands in the way of the first macro goes where that one was. */
static bool add_displaced(struct state *s, struct shift by)
{
    const struct problem *p = &s->p;
    struct move *m = s->move;
    struct shift back = {-by.columns, -by.rows, -by.luts, by.site >= 0 ? m->from[0] : -1};
    int32_t own = m->cells, step = p->macro_step[m->macro[0]];
    for (int32_t i = 0; i < own; i++) {
        int32_t in_way = s->occupant[m->to[i]];
        if (in_way < 0)
            continue;
        int32_t other = p->cell_macro[in_way];
        if (moves_already(m, other))
            continue;
        int32_t other_step = p->macro_step[other];
        if (other_step == 0 || other_step > step || (other_step > 0 && by.luts % other_step))
            return false;
        if (p->macro_first[other + 1] - p->macro_first[other] > own || !add_macro(s, other, back))
            return false;
    }
    return true;
}

static bool place_all(struct state *s)
{
    struct move *m = s->move;
    for (int32_t i = 0; i < m->cells; i++)
        s->occupant[m->from[i]] = -1;
    int32_t placed = 0;
    while (placed < m->cells && s->occupant[m->to[placed]] < 0) {
        s->occupant[m->to[placed]] = m->cell[placed];
        placed++;
    }
    if (placed == m->cells) {
        for (int32_t i = 0; i < m->cells; i++)
            set_slot(s, m->cell[i], m->to[i]);
        return true;
    }
    while (placed--)
        s->occupant[m->to[placed]] = -1;
    for (int32_t i = 0; i < m->cells; i++)
        s->occupant[m->from[i]] = m->cell[i];
    return false;
}

static bool slot_legal(const struct state *s, int32_t slot, int32_t *last_tile)
{
    const struct problem *p = &s->p;
    int32_t grid = p->columns * p->rows * TILE_SLOTS;
    if (slot >= grid)
        return p->site_block[slot - grid] < 0 || block_legal(s, p->site_block[slot - grid], p->site_kind[slot - grid]);
    int32_t tile = slot / TILE_SLOTS;
    if (tile == *last_tile)
        return true;
    *last_tile = tile;
    return tile_legal(s, tile);
}

static bool all_legal(const struct state *s)
{
    const struct move *m = s->move;
    int32_t last = -1;
    for (int32_t i = 0; i < m->cells; i++)
        if (!slot_legal(s, m->to[i], &last))
            return false;
    return true;
}

/* Move `macro` so that its first cell comes to slot `target`; false: it can't be there. */
bool move_begin(struct state *s, int32_t macro, int32_t target, int32_t step)
{
    const struct problem *p = &s->p;
    struct move *m = s->move;
    int32_t from = p->cell_slot[p->macro_cell[p->macro_first[macro]]];
    struct shift by = {0, 0, 0, -1};
    if (step < 0) {
        by.site = target;
    } else {
        int32_t a = from / TILE_SLOTS, b = target / TILE_SLOTS;
        by.columns = b % p->columns - a % p->columns;
        by.rows = b / p->columns - a / p->columns;
        by.luts = target % TILE_SLOTS - from % TILE_SLOTS;
    }
    m->macros = m->cells = m->nets = m->connections = 0;
    if (!add_macro(s, macro, by) || !add_displaced(s, by) || !place_all(s))
        return false;
    if (all_legal(s))
        return true;
    move_undo(s);
    return false;
}

void move_undo(struct state *s)
{
    struct move *m = s->move;
    for (int32_t i = 0; i < m->cells; i++)
        s->occupant[m->to[i]] = -1;
    for (int32_t i = 0; i < m->cells; i++) {
        s->occupant[m->from[i]] = m->cell[i];
        set_slot(s, m->cell[i], m->from[i]);
    }
}

/* Whether a cell's move leaves a net's box as it is: inside it before and after, and not what spans it. */
static bool inside(const struct problem *p, struct box b, int32_t from, int32_t to)
{
    int16_t x = p->slot_x[from], y = p->slot_y[from], u = p->slot_x[to], v = p->slot_y[to];
    return (x == u || (x > b.left && x < b.right && u >= b.left && u <= b.right)) &&
           (y == v || (y > b.bottom && y < b.top && v >= b.bottom && v <= b.top));
}

static void add_nets(struct state *s, int32_t i)
{
    const struct problem *p = &s->p;
    struct move *m = s->move;
    int32_t cell = m->cell[i];
    for (int32_t k = p->cell_net_first[cell]; k < p->cell_net_first[cell + 1]; k++) {
        int32_t net = p->cell_net[k];
        if (s->net_stamp[net] == s->stamp || inside(p, s->box[net], m->from[i], m->to[i]))
            continue;
        s->net_stamp[net] = s->stamp;
        m->net[m->nets] = net;
        m->box[m->nets] = net_box(s, net);
        m->wire_change += box_length(m->box[m->nets++]) - box_length(s->box[net]);
    }
}

static void add_connections(struct state *s, int32_t cell)
{
    const struct problem *p = &s->p;
    struct move *m = s->move;
    for (int32_t k = p->cell_connection_first[cell]; k < p->cell_connection_first[cell + 1]; k++) {
        int32_t c = p->cell_connection[k];
        if (s->connection_stamp[c] == s->stamp)
            continue;
        s->connection_stamp[c] = s->stamp;
        float delay = wire_delay(s, c);
        m->connection[m->connections] = c;
        m->delay[m->connections++] = delay;
        m->timing_change += (double)s->weight[c] * (delay - p->connection_delay[c]);
    }
}

/* By how much the move that has begun raises the cost. */
double move_cost(struct state *s, double per_ns)
{
    struct move *m = s->move;
    s->stamp++;
    m->wire_change = m->timing_change = 0;
    for (int32_t i = 0; i < m->cells; i++)
        add_nets(s, i);
    for (int32_t i = 0; i < m->cells; i++)
        add_connections(s, m->cell[i]);
    return m->wire_change + per_ns * m->timing_change;
}

void move_keep(struct state *s)
{
    struct move *m = s->move;
    for (int32_t i = 0; i < m->nets; i++)
        s->box[m->net[i]] = m->box[i];
    for (int32_t i = 0; i < m->connections; i++)
        s->p.connection_delay[m->connection[i]] = m->delay[i];
    s->wire_length += m->wire_change;
    s->timing_cost += m->timing_change;
}
