/* Stretches of cycles, in order of time: for counting cycles in which any of several things happened. */
#ifndef SPANS_H
#define SPANS_H

#include <stdint.h>
#include <stdlib.h>

struct span {
    int64_t first, last;
};

struct spans {
    struct span *span;
    uint32_t count, room;
};

struct span_mark {
    uint32_t count;
    int64_t last;
};

static inline void spans_add(struct spans *spans, int64_t first, int64_t last)
{
    if (last < first)
        return;
    if (spans->count && first <= spans->span[spans->count - 1].last + 1) {
        spans->span[spans->count - 1].last = last;
        return;
    }
    if (spans->count == spans->room) {
        spans->room = spans->room ? 2 * spans->room : 1024;
        spans->span = realloc(spans->span, spans->room * sizeof *spans->span);
        if (!spans->span)
            abort();
    }
    spans->span[spans->count++] = (struct span){first, last};
}

static inline struct span_mark spans_mark(const struct spans *spans)
{
    return (struct span_mark){spans->count, spans->count ? spans->span[spans->count - 1].last : 0};
}

/* Forgets what was added since the mark. */
static inline void spans_restore(struct spans *spans, struct span_mark mark)
{
    spans->count = mark.count;
    if (mark.count)
        spans->span[mark.count - 1].last = mark.last;
}

static inline void spans_free(struct spans *lists, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        free(lists[n].span);
}

static inline void spans_clear(struct spans *lists, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        lists[n].count = 0;
}

/* Cycles that lie in any of `count` lists. */
static inline int64_t spans_union(const struct spans *lists, unsigned count)
{
    uint32_t at[8] = {0};
    int64_t covered = 0, end = INT64_MIN / 2;
    for (;;) {
        unsigned chosen = count;
        for (unsigned n = 0; n < count; n++)
            if (at[n] < lists[n].count &&
                (chosen == count || lists[n].span[at[n]].first < lists[chosen].span[at[chosen]].first))
                chosen = n;
        if (chosen == count)
            return covered;
        struct span next = lists[chosen].span[at[chosen]++];
        int64_t first = next.first > end ? next.first : end + 1;
        if (next.last >= first) {
            covered += next.last - first + 1;
            end = next.last;
        }
    }
}

#endif
