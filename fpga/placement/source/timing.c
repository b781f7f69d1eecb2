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

static float power(float base, int32_t exponent)
{
    float result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1)
            result *= base;
    return result;
}

enum { BINS = 4096, BINS_PER_NS = 64, SHARPNESS = 32 };

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

/* What each end's path is worth: criticality^exponent. */
static void set_ends(struct state *s, int32_t exponent)
{
    const struct problem *p = &s->p;
    const float heaviest = 20, reference = (float)s->figures.reference;
    double worst = 0;
    for (int32_t e = 0; e < p->ends; e++) {
        int32_t c = p->end_connection[e];
        float path = s->arrival[p->end_from[e]] + p->connection_delay[c] + p->end_delay[e];
        float worth = path > 0 ? power(path / reference, exponent) : 0;
        worst = path > worst ? path : worst;
        worth = worth < heaviest ? worth : heaviest;
        s->flow[p->end_from[e]] += worth;
        s->connection_flow[c] += worth;
    }
    s->figures.worst = worst;
}

/* How much of what leaves a net came by each arc into it: the later it arrives, the more. */
static void set_shares(struct state *s)
{
    const struct problem *p = &s->p;
    for (int32_t a = 0; a < p->arcs; a++) {
        int32_t to = p->arc_to[a];
        float at = s->arrival[p->arc_from[a]] + p->connection_delay[p->arc_connection[a]] + p->arc_delay[a];
        s->share[a] = s->arrival[to] > 0 ? power(at / s->arrival[to], SHARPNESS) : 0;
        s->share_sum[to] += s->share[a];
    }
}

/* Renew the weights of connections: the worth of all paths through each. */
void analyse(struct state *s, const struct round *r)
{
    const struct problem *p = &s->p;
    const float matters = 0.1f, renewal = (float)(1 - r->memory);
    for (int32_t n = 0; n < p->nets; n++)
        s->flow[n] = s->share_sum[n] = 0;
    for (int32_t c = 0; c < p->connections; c++)
        s->connection_flow[c] = 0;
    set_arrivals(s);
    s->figures.reference = find_reference(s, r->ends_beyond);
    set_ends(s, r->exponent);
    set_shares(s);
    for (int32_t a = p->arcs - 1; a >= 0; a--) {
        float sum = s->share_sum[p->arc_to[a]], flow = sum > 0 ? s->flow[p->arc_to[a]] * s->share[a] / sum : 0;
        s->flow[p->arc_from[a]] += flow;
        s->connection_flow[p->arc_connection[a]] += flow;
    }
    double cost = 0;
    s->criticals = 0;
    for (int32_t c = 0; c < p->connections; c++) {
        s->weight[c] += renewal * (s->connection_flow[c] - s->weight[c]);
        if (p->connection_rigid[c])
            continue;
        cost += (double)s->weight[c] * p->connection_delay[c];
        if (s->weight[c] > matters)
            s->critical[s->criticals++] = c;
    }
    s->timing_cost = cost;
}

struct box net_box(const struct state *s, int32_t net)
{
    const struct problem *p = &s->p;
    int32_t first = p->net_first[net], end = p->net_first[net + 1];
    if (first == end)
        return (struct box){0, 0, 0, 0};
    struct box b = {INT16_MAX, INT16_MIN, INT16_MAX, INT16_MIN};
    for (int32_t i = first; i < end; i++) {
        struct spot at = s->spot[p->net_cell[i]];
        b.left = at.x < b.left ? at.x : b.left;
        b.right = at.x > b.right ? at.x : b.right;
        b.bottom = at.y < b.bottom ? at.y : b.bottom;
        b.top = at.y > b.top ? at.y : b.top;
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
            p->connection_delay[c] = wire_delay(s, c);
}
