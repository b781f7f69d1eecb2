// The board's SDRAM chip as the controller's pins see it, through a register each way; for systems that have one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace tilewright {

// A system whose memory is on the chip has no such pins.
template <typename Top, typename = void> class Sdram {
  public:
    void step(Top &) {}
};

template <typename Top> class Sdram<Top, std::void_t<decltype(std::declval<Top &>().sdram___05Fras)>> {
  public:
    Sdram() : cells_(std::size_t{1} << (kRowBits + kBankBits + kColumnBits)) {}

    // Just before the rising edge: takes the command of this cycle, and sets the data that the edge takes.
    void step(Top &top) {
        const unsigned command = top.sdram___05Fras << 2 | top.sdram___05Fcas << 1 | top.sdram___05Fwe;
        const unsigned bank = top.sdram___05Fbank, address = top.sdram___05Faddress;
        if (command == kActivate) rows_[bank] = address;
        if (command == kRead) reading_ = place(bank, address), beat_ = 0;
        if (command == kWrite) writing_ = place(bank, address), left_ = kBeats;
        if (left_) {
            uint32_t keep = 0;
            for (unsigned lane = 0; kMasks && lane < kDataBits / 8; ++lane)
                if (top.sdram___05Fmask >> lane & 1) keep |= 0xFFu << 8 * lane;
            uint32_t &cell = cells_[writing_++];
            cell = (cell & keep) | (top.sdram___05Foutput & ~keep);
            --left_;
        }
        // Reads may follow one another without a gap: what is on its way is kept in a line of their data.
        line_[(now_ + kLatency) % kLine] = beat_ < kBeats ? cells_[reading_ + beat_++] : 0xDEAD;
        top.sdram___05Finput = line_[now_++ % kLine];
    }

  private:
    // SdramChip's
    static constexpr unsigned kRowBits = TILEWRIGHT_SDRAM_ROW_BITS, kBankBits = TILEWRIGHT_SDRAM_BANK_BITS;
    static constexpr unsigned kColumnBits = TILEWRIGHT_SDRAM_COLUMN_BITS, kDataBits = TILEWRIGHT_SDRAM_DATA_BITS;
    static constexpr bool kMasks = TILEWRIGHT_SDRAM_MASKS;
    static constexpr unsigned kActivate = 4, kRead = 2, kWrite = 3;
    static constexpr unsigned kBeats = 8 * TILEWRIGHT_BUS_BYTES / kDataBits, kLatency = 3, kLine = 16;

    std::size_t place(unsigned bank, unsigned column) const {
        return (std::size_t{rows_[bank]} << kBankBits | bank) << kColumnBits | (column & ((1u << kColumnBits) - 1));
    }

    std::vector<uint32_t> cells_;
    unsigned rows_[1u << kBankBits] = {};
    std::size_t reading_ = 0, writing_ = 0;
    unsigned beat_ = kBeats, left_ = 0;
    uint32_t line_[kLine] = {};
    uint64_t now_ = 0;
};

}  // namespace tilewright
