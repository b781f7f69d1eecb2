/* Static timing analysis over nets, and how much each connection matters by it. */
#include "placement.h"

static void set_arrivals(struct state *s)
{
    const struct problem *p = &s->p;
    for (int32_t n = 0; n < p->nets; n++)
        s->arrival[n] = p->launch[n];
    for (int32_t a = 0; a < p->arcs; a++) {
        float at = s->arrival[p->arc_from[a]] + p->connection_delay[p->arc_connection[a]] + p->arc_delay[a];
        if (at > s->arrival[p->arc_to[a]])
            s->arrival[p->arc_to[a]] = at;
    }
}

static void set_ends(struct state *s)
{
    const struct problem *p = &s->p;
    double worst = 0, beyond = 0;
    for (int32_t e = 0; e < p->ends; e++) {
        int32_t c = p->end_connection[e];
        float left = p->connection_delay[c] + p->end_delay[e];
        float path = s->arrival[p->end_from[e]] + left;
        if (path > worst)
            worst = path;
        if (path > s->wanted)
            beyond += path - s->wanted;
        if (left > s->rest[p->end_from[e]])
            s->rest[p->end_from[e]] = left;
        if (path > s->connection_path[c])
            s->connection_path[c] = path;
    }
    s->figures.worst = worst;
    s->figures.beyond = beyond;
}

static void set_paths(struct state *s)
{
    const struct problem *p = &s->p;
    for (int32_t a = p->arcs - 1; a >= 0; a--) {
        int32_t from = p->arc_from[a], c = p->arc_connection[a];
        float left = p->connection_delay[c] + p->arc_delay[a] + s->rest[p->arc_to[a]];
        float path = s->arrival[from] + left;
        if (left > s->rest[from])
            s->rest[from] = left;
        if (path > s->connection_path[c])
            s->connection_path[c] = path;
    }
}

static float power(float base, int32_t exponent)
{
    float result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

enum { BINS = 4096, BINS_PER_NS = 64 };

/* The length that a share of the ends' paths exceed: a few outliers don't make all else look harmless. */
static float find_reference(struct state *s, double share)
{
    const struct problem *p = &s->p;
    int32_t count[BINS] = {0};
    for (int32_t e = 0; e < p->ends; e++) {
        int32_t c = p->end_connection[e];
        float path = s->arrival[p->end_from[e]] + p->connection_delay[c] + p->end_delay[e];
        int32_t bin = path > 0 ? (int32_t)(path * BINS_PER_NS) : 0;
        count[bin < BINS ? bin : BINS - 1]++;
    }
    int32_t bin = BINS - 1;
    double left = share * p->ends;
    while (bin > 1 && (left -= count[bin]) >= 0)
        bin--;
    return (float)bin / BINS_PER_NS;
}

/* Renew weights, criticality^exponent, and the cost that results. */
void analyse(struct state *s, const struct round *r)
{
    const struct problem *p = &s->p;
    const float nowhere = -1e6f, heaviest = 20, matters = 0.1f;
    for (int32_t n = 0; n < p->nets; n++)
        s->rest[n] = nowhere;
    for (int32_t c = 0; c < p->connections; c++)
        s->connection_path[c] = 0;
    set_arrivals(s);
    set_ends(s);
    set_paths(s);
    float reference = find_reference(s, r->ends_beyond), renewal = (float)(1 - r->memory);
    double cost = 0;
    s->criticals = 0;
    for (int32_t c = 0; c < p->connections; c++) {
        float path = s->connection_path[c], now = path > 0 ? power(path / reference, r->exponent) : 0;
        s->weight[c] += renewal * ((now < heaviest ? now : heaviest) - s->weight[c]);
        if (p->connection_rigid[c])
            continue;
        cost += (double)s->weight[c] * p->connection_delay[c];
        if (s->weight[c] > matters)
            s->critical[s->criticals++] = c;
    }
    s->timing_cost = cost;
    s->figures.reference = reference;
}

struct box net_box(const struct state *s, int32_t net)
{
    const struct problem *p = &s->p;
    int32_t first = p->net_first[net], end = p->net_first[net + 1];
    if (first == end)
        return (struct box){0, 0, 0, 0};
    struct box b = {INT16_MAX, INT16_MIN, INT16_MAX, INT16_MIN};
    for (int32_t i = first; i < end; i++) {
        int32_t slot = p->cell_slot[p->net_cell[i]];
        int16_t x = p->slot_x[slot], y = p->slot_y[slot];
        b.left = x < b.left ? x : b.left;
        b.right = x > b.right ? x : b.right;
        b.bottom = y < b.bottom ? y : b.bottom;
        b.top = y > b.top ? y : b.top;
    }
    return b;
}

/* All that follows from where cells are, anew. */
void measure(struct state *s)
{
    const struct problem *p = &s->p;
    double length = 0;
    for (int32_t n = 0; n < p->nets; n++) {
        s->box[n] = net_box(s, n);
        length += box_length(s->box[n]);
    }
    s->wire_length = length;
    for (int32_t c = 0; c < p->connections; c++)
        if (!p->connection_rigid[c])
            p->connection_delay[c] = wire_delay(s, p->connection_from[c], p->connection_to[c]);
}
