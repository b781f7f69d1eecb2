// The model's clocks: how it is told of their edges, and its evaluation.
#pragma once

#include "ports.hpp"

#if __has_include("dispatch.hpp")
#include "dispatch.hpp"
#define TILEWRIGHT_DISPATCH 1
#define EDGE_OF(clock) kEdge_##clock
#else
#define TILEWRIGHT_DISPATCH 0
#define EDGE_OF(clock) 0
#endif

#define RAISE(clock, now) raise(model_.clock, EDGE(clock), now)
#define EDGE(clock) EDGE_OF(clock)

namespace tilewright {

class Clocks {
  public:
    explicit Clocks(Vtilewright &top) : top_(top) { top.eval(); }

    // Use RAISE(clock, now): an edge of `clock` in the next evaluation, if `now`.
    void raise(CData &clock, unsigned edge, bool now) {
#if TILEWRIGHT_DISPATCH
        (void)clock;
        edges_ |= now ? edge : 0;
#elif TILEWRIGHT_BOTH_EDGES
        (void)edge;
        clock ^= now;
#else
        (void)edge;
        clock = now;
#endif
    }

    void evaluate() {
#if TILEWRIGHT_DISPATCH
        tilewright_dispatch(top_.rootp, edges_);
        edges_ = 0;
#else
        top_.eval();
#endif
    }

    // Where only rising edges count, which is where waveforms are written: all clocks fall. Whether they did.
    bool lower() {
#if TILEWRIGHT_BOTH_EDGES
        return false;
#else
        Model &model = *top_.rootp;
        model.clk = model.CLOCK(sample) = model.PINS(m_axi) = model.PINS(s_axi) = model.PINS(rst) = 0;
#define LOWER(part) model.CLOCK(part) = 0;
        TILEWRIGHT_GATED(LOWER)
#undef LOWER
        top_.eval();
        return true;
#endif
    }

  private:
    Vtilewright &top_;
    unsigned edges_ = 0;
};

}  // namespace tilewright
