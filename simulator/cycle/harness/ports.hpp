// The ports of the Verilated core, and what the parts of the harness share.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "Vtilewright.h"
#include "Vtilewright___024root.h"

// Verilator writes a double underscore inside a name as ___05F.
#define M_AXI(name) m_axi___05F##name
#define S_AXI(name) s_axi___05F##name
#define CLOCK(part) clocks___05F##part
#define AWAKE(part) awake___05F##part
#define PINS(bus) pins___05F##bus
#define TRACE(engine, what) trace___05F##engine##___05F##what

namespace tilewright {

using Model = Vtilewright___024root;  // its ports themselves, where Vtilewright has references to them

constexpr unsigned kBusBytes = TILEWRIGHT_BUS_BYTES;

enum Response : unsigned { kOkay = 0, kDecodeError = 3 };

// The first broken rule of a bus protocol; later ones would only follow from it.
class Violation {
  public:
    explicit operator bool() const { return !text_.empty(); }
    const char *text() const { return text_.c_str(); }
    void clear() { text_.clear(); }

    template <typename... Values> void report(uint64_t cycle, const char *format, Values... values) {
        if (*this) return;
        char message[200];
        std::snprintf(message, sizeof message, format, values...);
        text_ = std::string(message) + " (cycle " + std::to_string(cycle) + ")";
    }

  private:
    std::string text_;
};

// Inputs of the core, and whether one of them is about to change.
class Pins {
  public:
    template <typename Pin, typename Value> void set(Pin &pin, Value value) {
        changed_ |= pin != static_cast<Pin>(value);
        pin = static_cast<Pin>(value);
    }
    void touch() { changed_ = true; }
    bool take_changed() {
        const bool changed = changed_;
        changed_ = false;
        return changed;
    }

  private:
    bool changed_ = true;
};

// Reproducible dice (xorshift64*).
class Dice {
  public:
    explicit Dice(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u) {
        if (!state_) state_ = 1;
    }

    uint32_t roll() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<uint32_t>((state_ * 0x2545F4914F6CDD1Du) >> 32);
    }

  private:
    uint64_t state_;
};

// Whether a channel pauses in this cycle. The odds change every few hundred cycles, so that free flow, drizzle and
// near standstill all meet each other on the different channels.
class Stall {
  public:
    void enable(uint64_t seed) {
        dice_ = Dice(seed);
        enabled_ = true;
    }

    bool operator()() {
        if (!enabled_) return false;
        if (left_-- == 0) {
            static constexpr uint32_t kOdds[] = {0, 0, 0x40000000, 0x80000000, 0xE0000000};
            odds_ = kOdds[dice_.roll() % 5];
            left_ = 16 + dice_.roll() % 500;
        }
        return dice_.roll() < odds_;
    }

  private:
    Dice dice_{0};
    bool enabled_ = false;
    uint32_t odds_ = 0;
    uint32_t left_ = 0;
};

}  // namespace tilewright
