// The serial line as the board's pins see it: bits with their times, and what goes wrong on the way.
#pragma once

#include <cstdint>
#include <deque>
#include <random>

namespace tilewright {

// Reproducible dice.
class Dice {
  public:
    explicit Dice(uint64_t seed) : engine_(static_cast<uint32_t>(seed)) {}

    uint32_t roll() { return static_cast<uint32_t>(engine_()); }
    bool chance(double odds) { return odds > 0 && roll() < odds * 4294967296.0; }

  private:
    std::mt19937 engine_;
};

// Odds for each byte on the line, either way. Laid out as Faults in simulated_board.py.
struct Faults {
    double flips;    // one of its bits is another
    double losses;   // it is lost
    double garbage;  // up to 40 bytes of no meaning come before it
    double resets;   // the board is reset
    double cuts;     // everything is lost for up to 100,000 cycles
};

// Bytes from the host to the board's receive pin.
class ToBoard {
  public:
    explicit ToBoard(double cycles_per_bit) : cycles_per_bit_(cycles_per_bit) {}

    void put(unsigned byte, unsigned flipped) { bytes_.push_back((byte << 1 | 0x200) ^ flipped); }
    bool idle() const { return bytes_.empty(); }
    size_t waiting() const { return bytes_.size(); }
    void clear() { bytes_.clear(), bit_ = -1; }

    // The pin's level in this cycle.
    bool level() {
        if (bytes_.empty()) return true;
        if (bit_ < 0) bit_ = 0, left_ += cycles_per_bit_;
        const bool value = bytes_.front() >> bit_ & 1;
        left_ -= 1;
        if (left_ <= 0) {
            left_ += cycles_per_bit_;
            if (++bit_ == 10) bytes_.pop_front(), bit_ = -1, left_ -= cycles_per_bit_;
        }
        return value;
    }

  private:
    const double cycles_per_bit_;
    std::deque<unsigned> bytes_;
    int bit_ = -1;
    double left_ = 0;
};

// Bytes from the board's transmit pin.
class FromBoard {
  public:
    explicit FromBoard(double cycles_per_bit) : cycles_per_bit_(cycles_per_bit) {}

    bool idle() const { return bit_ < 0; }

    // Takes the pin's level in this cycle; the byte that has just ended, or -1.
    int take(bool level) {
        if (bit_ < 0) {
            if (level) return -1;
            bit_ = 0, bits_ = 0, left_ = cycles_per_bit_ / 2;
        }
        left_ -= 1;
        if (left_ > 0) return -1;
        left_ += cycles_per_bit_;
        bits_ |= static_cast<unsigned>(level) << bit_;
        if (++bit_ < 10) return -1;
        bit_ = -1;
        const bool framed = (bits_ & 0x201) == 0x200;
        return framed ? static_cast<int>(bits_ >> 1 & 0xFF) : -1;
    }

  private:
    const double cycles_per_bit_;
    int bit_ = -1;
    unsigned bits_ = 0;
    double left_ = 0;
};

}  // namespace tilewright
