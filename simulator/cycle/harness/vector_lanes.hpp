// The vector engine's lanes: docs/isa.md, VECTOR, step by step as the engine asks for operands and entries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tilewright {

// A step's marks and its instruction's flags, as the hardware's VectorStep lays them out.
class VectorStep {
  public:
    explicit VectorStep(uint64_t bits) : bits_(bits) {}

    bool a_fresh() const { return bit(TILEWRIGHT_STEP_A_FRESH); }
    bool step() const { return bit(TILEWRIGHT_STEP_STEP); }
    bool first() const { return bit(TILEWRIGHT_STEP_FIRST); }
    bool result() const { return bit(TILEWRIGHT_STEP_RESULT); }
    unsigned function() const { return bits_ >> TILEWRIGHT_STEP_FUNCTION & 7; }
    bool a_in_acc() const { return bit(TILEWRIGHT_STEP_A_MEMORY) == TILEWRIGHT_MEMORY_ACC; }
    bool b_in_acc() const { return bit(TILEWRIGHT_STEP_B_MEMORY) == TILEWRIGHT_MEMORY_ACC; }
    bool to_acc() const { return bit(TILEWRIGHT_STEP_DST_MEMORY) == TILEWRIGHT_MEMORY_ACC; }
    bool residual() const { return bit(TILEWRIGHT_STEP_RESIDUAL); }
    bool bias_enable() const { return bit(TILEWRIGHT_STEP_BIAS_ENABLE); }
    bool scale_enable() const { return bit(TILEWRIGHT_STEP_SCALE_ENABLE); }
    bool table_enable() const { return bit(TILEWRIGHT_STEP_TABLE_ENABLE); }
    unsigned table() const { return (bits_ >> TILEWRIGHT_STEP_TABLE & 7) % TILEWRIGHT_TABLES; }
    int32_t a_zero() const { return byte(TILEWRIGHT_STEP_A_ZERO); }
    int32_t b_zero() const { return byte(TILEWRIGHT_STEP_B_ZERO); }
    int32_t zero_point() const { return byte(TILEWRIGHT_STEP_ZERO_POINT); }
    int32_t minimum() const { return byte(TILEWRIGHT_STEP_MINIMUM); }
    int32_t maximum() const { return byte(TILEWRIGHT_STEP_MAXIMUM); }

  private:
    bool bit(int offset) const { return bits_ >> offset & 1; }
    int8_t byte(int offset) const { return static_cast<int8_t>(bits_ >> offset); }

    uint64_t bits_;
};

// A SCALE entry as it lies in memory.
struct ScaleEntry {
    int32_t multiplier;
    uint8_t left, right, single, spare;
};
static_assert(sizeof(ScaleEntry) == 8);

template <int rows, int lanes> class VectorLanes {
  public:
    struct alignas(64) Values {
        int32_t value[rows][lanes];
    };

    // Forgets the results that are on their way.
    void reset() { reduced_ = biased_ = scaled_ = looked_up_ = written_ = 0; }

    // `a`, `b`: where the step reads them; one that it does not read may be anything.
    template <typename ReadA, typename ReadB> void take(VectorStep step, ReadA read_a, ReadB read_b) {
        if (step.a_fresh()) read_a(held_);
        if (!step.step()) return;
        if (step.function() == TILEWRIGHT_FUNCTION_MAC || (step.result() && step.residual())) read_b(b_);
        reduce(step);
        if (!step.result()) return;
        Result &result = results_[reduced_++ % kResults];
        result.step = step;
        result.value = total_;
        if (step.residual()) result.residual = b_;
    }

    // The oldest result that has no bias yet gets `entries`, one for each lane.
    void add_bias(const uint8_t *entries) {
        Result &result = results_[biased_++ % kResults];
        if (!result.step.bias_enable()) return;
        int32_t bias[lanes];
        std::memcpy(bias, entries, sizeof bias);
        each([&](int r, int n) { result.value.value[r][n] = wrapped(uint32_t(result.value.value[r][n]) + bias[n]); });
    }

    // The oldest result that is not scaled yet, up to its clamping.
    void scale(const uint8_t *entries) {
        Result &result = results_[scaled_++ % kResults];
        if (result.step.scale_enable()) requantise(result.value, entries);
        if (result.step.residual())
            each([&](int r, int n) {
                result.value.value[r][n] = wrapped(uint32_t(result.value.value[r][n]) + result.residual.value[r][n]);
            });
        if (result.step.to_acc()) return;
        const int64_t zero = result.step.zero_point();
        const int64_t low = result.step.minimum(), high = result.step.maximum();
        each([&](int r, int n) {
            int64_t shifted = result.value.value[r][n] + zero;
            shifted = shifted > low ? shifted : low;
            result.value.value[r][n] = static_cast<int32_t>(shifted < high ? shifted : high);
        });
    }

    // The oldest result that has not passed the tables yet.
    void look_up(const uint8_t *tables) {
        Result &result = results_[looked_up_++ % kResults];
        if (!result.step.table_enable()) return;
        const uint8_t *table = tables + 256 * result.step.table();
        each([&](int r, int n) { result.value.value[r][n] = table[(result.value.value[r][n] & 0xFF) ^ 0x80]; });
    }

    // The oldest result, which is removed.
    const Values &write() { return results_[written_++ % kResults].value; }

  private:
    struct Result {
        VectorStep step{0};
        Values value, residual;
    };
    static constexpr unsigned power_of_two(unsigned least) {
        unsigned power = 1;
        while (power < least) power *= 2;
        return power;
    }
    static constexpr unsigned kResults = power_of_two(TILEWRIGHT_RESULTS);
    static constexpr int kMultiplierBits = TILEWRIGHT_MULTIPLIER_BITS;

    static int32_t wrapped(uint32_t value) { return static_cast<int32_t>(value); }

    template <typename Body> static void each(Body body) {
        for (int row = 0; row < rows; ++row)
            for (int lane = 0; lane < lanes; ++lane) body(row, lane);
    }

    void reduce(VectorStep step) {
        const int32_t a_zero = step.a_zero(), b_zero = step.b_zero();
        const bool first = step.first();
        const auto &held = held_.value;
        auto &total = total_.value;
        const auto operand = [&](int r, int n) { return wrapped(uint32_t(held[r][n]) - a_zero); };
        switch (step.function()) {
        case TILEWRIGHT_FUNCTION_ZERO:
            total_ = Values{};
            break;
        case TILEWRIGHT_FUNCTION_MAX:
            each([&](int r, int n) { total[r][n] = first ? operand(r, n) : std::max(operand(r, n), total[r][n]); });
            break;
        case TILEWRIGHT_FUNCTION_MIN:
            each([&](int r, int n) { total[r][n] = first ? operand(r, n) : std::min(operand(r, n), total[r][n]); });
            break;
        case TILEWRIGHT_FUNCTION_MAC:
            each([&](int r, int n) {
                const int32_t product = (operand(r, n) << 23 >> 23) * (b_.value[r][n] - b_zero);  // 9 bits each
                total[r][n] = wrapped(uint32_t(first ? 0 : total[r][n]) + product);
            });
            break;
        default:
            each([&](int r, int n) { total[r][n] = wrapped(uint32_t(first ? 0 : total[r][n]) + operand(r, n)); });
        }
    }

    static void requantise(Values &values, const uint8_t *entries) {
        ScaleEntry scale[lanes];
        std::memcpy(scale, entries, sizeof scale);
        each([&](int r, int n) {
            const ScaleEntry entry = scale[n];
            const int right = entry.right & 31;
            const bool single = entry.single & 1;
            const int32_t multiplier = wrapped(uint32_t(entry.multiplier) << (32 - kMultiplierBits)) >> (32 - kMultiplierBits);
            const int64_t x = wrapped(uint32_t(values.value[r][n]) << (entry.left & 31));
            const int64_t nudge = !single || right == 0 ? int64_t{1} << (kMultiplierBits - 2) : 0;
            int64_t high = (x * multiplier + nudge) >> (kMultiplierBits - 1);
            if (!single) high = static_cast<int32_t>(high);
            const int64_t half = (high << 1 >> right) & 1;
            const int64_t below = high & ((int64_t{1} << right >> 1) - 1);
            const bool up = single || high >= 0 || below != 0;
            values.value[r][n] = wrapped(uint32_t(high >> right) + uint32_t(half & up));
        });
    }

    Values held_{}, b_{}, total_{};
    Result results_[kResults];
    unsigned reduced_ = 0, biased_ = 0, scaled_ = 0, looked_up_ = 0, written_ = 0;
};

}  // namespace tilewright
