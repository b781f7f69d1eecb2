// The core's memories and arithmetic, beside a Verilog that has control alone (see twins.py).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "ports.hpp"
#include "products.hpp"
#include "vector_lanes.hpp"

#define TWIN(name) top.twin_##name

namespace tilewright {

// One on-chip memory: every row's cells in order. A client's address counts units of its width.
template <int rows, size_t words, size_t word_bytes> class Cells {
  public:
    static constexpr int kRows = rows;
    static constexpr size_t kWords = words, kWordBytes = word_bytes;

    uint8_t *row(int number) { return bytes_[number]; }
    template <size_t width> uint8_t *at(int number, size_t address) { return bytes_[number] + address * width; }

    // The same unit to each row in `mask`.
    template <size_t width> void write_rows(unsigned mask, size_t address, const void *data) {
        for (int row = 0; row < rows; ++row)
            if (mask >> row & 1) std::memcpy(at<width>(row, address), data, width);
    }

  private:
    alignas(64) uint8_t bytes_[rows][words * word_bytes] = {};
};

class Datapath {
  public:
    // Before the rising edge: what control asks for in this cycle. All reads see what was there before any write.
    void step(Model &top) {
        ++now_;
        const bool matrix = top.AWAKE(gemm), vector = top.AWAKE(vector);
        if (vector) read_vector(top);
        if (matrix) {
            read_matrix(top);
            accumulate(top);
            write_matrix(top);
        }
        if (vector) write_entries(top);
    }

    // The bytes that STORE asked for in this cycle, a row after another.
    const uint8_t *stored_act() const { return stored_act_; }
    const uint8_t *stored_acc() const { return stored_acc_; }

    // Row `name[-1]` of the memory that `name` begins with, or null.
    uint8_t *array(const std::string &name, uint64_t *words, uint64_t *stride) {
        uint8_t *found = nullptr;
        const auto look = [&](const char *memory, auto &cells) {
            const std::string start = memory;
            if (name.compare(0, start.size(), start)) return;
            const int row = std::stoi(name.substr(start.size()));
            *words = cells.kWords, *stride = cells.kWordBytes;
            if (row < cells.kRows) found = cells.row(row);
        };
        look("act", act_), look("acc", acc_), look("wgt", wgt_);
        look("bias", bias_), look("scale", scale_), look("table", table_);
        return found;
    }

  private:
    static constexpr int kRows = TILEWRIGHT_ROWS, kIn = TILEWRIGHT_BLOCK_IN, kOut = TILEWRIGHT_BLOCK_OUT;
    static constexpr int kLanes = TILEWRIGHT_LANES, kForwards = 3;
    static constexpr size_t kAccBytes = 4 * kOut;
    using Lanes = VectorLanes<kRows, kLanes>;
    struct alignas(64) Sums {
        int32_t value[kRows][kOut];
    };
    // What came to be in one of the last cycles; it lasts as long as control may ask for it.
    template <typename Value, unsigned cycles> class Recent {
      public:
        Value &operator[](uint64_t cycle) { return values_[cycle % cycles]; }

      private:
        Value values_[cycles] = {};
    };

    // A tile's products are complete as soon as they are asked for; control uses them when the array would have them.
    void read_matrix(Model &top) {
        if (TWIN(gemm_wgt)) {
            const auto *tile = reinterpret_cast<const int8_t *>(wgt_.at<kIn * kOut>(0, TWIN(gemm_wgt_address)));
            for (int row = 0; row < kRows; ++row) {
                const auto *act = reinterpret_cast<const int8_t *>(act_.at<kIn>(row, TWIN(gemm_act_address)));
                Products<kIn, kOut>::compute(act, tile, sums_[now_].value[row]);
            }
        }
        if (acc_asked_)  // the bank is asked a cycle after the grant, and control counts on what was written meanwhile
            for (int row = 0; row < kRows; ++row)
                std::memcpy(old_[now_ - 1].value[row], acc_.at<kAccBytes>(row, acc_place_), kAccBytes);
        acc_asked_ = TWIN(gemm_acc), acc_place_ = TWIN(gemm_acc_address);
        if (TWIN(store_act)) keep<TILEWRIGHT_ACT_UNIT>(act_, TWIN(store_act_address), stored_act_);
        if (TWIN(store_acc)) keep<TILEWRIGHT_ACC_UNIT>(acc_, TWIN(store_acc_address), stored_acc_);
    }

    template <size_t width, typename From> static void keep(From &from, size_t address, uint8_t *to) {
        for (int row = 0; row < kRows; ++row) std::memcpy(to + row * width, from.template at<width>(row, address), width);
    }

    void accumulate(Model &top) {
        if (!(TWIN(update) & 1)) return;
        static const Sums kNone{};
        const Sums *old = &old_[now_ - TILEWRIGHT_READ_LATENCY];
        for (int n = kForwards - 1; n >= 0; --n)
            if (TWIN(forward) >> n & 1) old = &results_[now_ - 1 - n];
        if (TWIN(overwrite)) old = &kNone;
        const Sums &sums = sums_[now_ - TILEWRIGHT_UPDATE];
        Sums &result = results_[now_];
        for (int row = 0; row < kRows; ++row)
            for (int out = 0; out < kOut; ++out)
                result.value[row][out] =
                    static_cast<int32_t>(uint32_t(old->value[row][out]) + uint32_t(sums.value[row][out]));
    }

    void write_matrix(Model &top) {
        if (TWIN(gemm_acc_write))
            for (int row = 0; row < kRows; ++row)
                std::memcpy(acc_.at<kAccBytes>(row, TWIN(gemm_acc_write_address)), results_[now_ - 1].value[row],
                            kAccBytes);
        if (TWIN(vector_act_write))
            write_bytes(TWIN(vector_act_write_rows), TWIN(vector_act_write_address), lanes_.write());
        if (TWIN(vector_acc_write))
            write_words(TWIN(vector_acc_write_rows), TWIN(vector_acc_write_address), lanes_.write());
        if (TWIN(load_act))
            act_.write_rows<TILEWRIGHT_ACT_UNIT>(TWIN(load_act_rows), TWIN(load_act_address), &TWIN(load_act_data));
        if (TWIN(load_acc))
            acc_.write_rows<TILEWRIGHT_ACC_UNIT>(TWIN(load_acc_rows), TWIN(load_acc_address), &TWIN(load_acc_data));
        if (TWIN(load_wgt)) wgt_.write_rows<TILEWRIGHT_WGT_UNIT>(1, TWIN(load_wgt_address), &TWIN(load_wgt_data));
    }

    void write_bytes(unsigned mask, size_t address, const Lanes::Values &values) {
        for (int row = 0; row < kRows; ++row) {
            if (!(mask >> row & 1)) continue;
            uint8_t *target = act_.at<kLanes>(row, address);
            for (int lane = 0; lane < kLanes; ++lane) target[lane] = static_cast<uint8_t>(values.value[row][lane]);
        }
    }

    void write_words(unsigned mask, size_t address, const Lanes::Values &values) {
        for (int row = 0; row < kRows; ++row)
            if (mask >> row & 1)
                std::memcpy(acc_.at<4 * kLanes>(row, address), values.value[row], sizeof values.value[row]);
    }

    void read_vector(Model &top) {
        if (!TWIN(vector_alive)) lanes_.reset();
        const VectorStep step(TWIN(vector_step));
        if (TWIN(vector_look_up)) lanes_.look_up(table_.row(0));
        if (TWIN(scale)) lanes_.scale(scale_.at<8 * kLanes>(0, TWIN(scale_address)));
        if (TWIN(bias)) lanes_.add_bias(bias_.at<4 * kLanes>(0, TWIN(bias_address)));
        if (!step.a_fresh() && !step.step()) return;
        lanes_.take(
            step,
            [&](Lanes::Values &a) {
                read_operand(step.a_in_acc(), TWIN(a_act_address), TWIN(a_acc_address), a);
            },
            [&](Lanes::Values &b) {
                read_operand(step.b_in_acc(), TWIN(b_act_address), TWIN(b_acc_address), b);
            });
    }

    void read_operand(bool in_acc, size_t act_address, size_t acc_address, Lanes::Values &values) {
        for (int row = 0; row < kRows; ++row) {
            if (in_acc) {
                std::memcpy(values.value[row], acc_.at<4 * kLanes>(row, acc_address), sizeof values.value[row]);
            } else {
                const auto *bytes = reinterpret_cast<const int8_t *>(act_.at<kLanes>(row, act_address));
                for (int lane = 0; lane < kLanes; ++lane) values.value[row][lane] = bytes[lane];
            }
        }
    }

    void write_entries(Model &top) {
        if (TWIN(load_bias)) bias_.write_rows<TILEWRIGHT_BIAS_UNIT>(1, TWIN(load_bias_address), &TWIN(load_bias_data));
        if (TWIN(load_scale))
            scale_.write_rows<TILEWRIGHT_SCALE_UNIT>(1, TWIN(load_scale_address), &TWIN(load_scale_data));
        if (TWIN(load_table_write_enable)) table_.row(0)[TWIN(load_table_write_address)] = TWIN(load_table_write_data);
    }

    Cells<kRows, TILEWRIGHT_ACT_WORDS, TILEWRIGHT_ACT_WORD_BYTES> act_;
    Cells<kRows, TILEWRIGHT_ACC_WORDS, TILEWRIGHT_ACC_WORD_BYTES> acc_;
    Cells<1, TILEWRIGHT_WGT_WORDS, TILEWRIGHT_WGT_WORD_BYTES> wgt_;
    Cells<1, TILEWRIGHT_BIAS_WORDS, TILEWRIGHT_BIAS_WORD_BYTES> bias_;
    Cells<1, TILEWRIGHT_SCALE_WORDS, TILEWRIGHT_SCALE_WORD_BYTES> scale_;
    Cells<1, 256 * TILEWRIGHT_TABLES, 1> table_;
    Recent<Sums, 16> sums_;
    Recent<Sums, 4> old_, results_;
    Lanes lanes_;
    uint8_t stored_act_[kRows * TILEWRIGHT_ACT_UNIT] = {}, stored_acc_[kRows * TILEWRIGHT_ACC_UNIT] = {};
    bool acc_asked_ = false;
    size_t acc_place_ = 0;
    uint64_t now_ = 16;

    static_assert(TILEWRIGHT_UPDATE < 16 && TILEWRIGHT_READ_LATENCY < 4 && kForwards < 4);
};

// The Verilog's way to the datapath of the model that is being evaluated, in whichever thread.
class DatapathContext : public VerilatedContext {
  public:
    explicit DatapathContext(Datapath &datapath) : datapath_(datapath) {}
    static Datapath &current() { return static_cast<DatapathContext *>(Verilated::threadContextp())->datapath_; }

  private:
    Datapath &datapath_;
};

}  // namespace tilewright

extern "C" void tilewright_store_act(uint32_t *data) {
    std::memcpy(data, tilewright::DatapathContext::current().stored_act(), TILEWRIGHT_ROWS * TILEWRIGHT_ACT_UNIT);
}

extern "C" void tilewright_store_acc(uint32_t *data) {
    std::memcpy(data, tilewright::DatapathContext::current().stored_acc(), TILEWRIGHT_ROWS * TILEWRIGHT_ACC_UNIT);
}
