// DRAM behind an AXI4 subordinate: latency, bandwidth, stalls, and a check of every rule the core must keep.
#pragma once

#include <cstring>
#include <deque>
#include <vector>

#include "ports.hpp"

namespace tilewright {

struct MemorySettings {
    uint8_t *bytes;        // the DRAM's contents, shared with the caller
    uint64_t base;         // address of the first byte
    uint64_t size;         // bytes
    uint64_t latency;      // cycles from an accepted request to its first answer
    double bandwidth;      // bytes a cycle, both ways together; 0: as much as the bus carries
    uint64_t burst_beats;  // longest burst that the core may ask for
    uint64_t stalls;       // seed of random stalls; 0: none
    uint64_t all_clocks;   // 1: clock every part in every cycle; 0: only parts that are awake
};

class AxiMemory {
  public:
    AxiMemory(Model &top, const MemorySettings &settings, Violation &violation)
        : top_(top), settings_(settings), violation_(violation), dice_(settings.stalls) {
        if (!settings.stalls) return;
        Stall *stalls[] = {&stall_aw_, &stall_w_, &stall_b_, &stall_ar_, &stall_r_};
        for (Stall *stall : stalls) stall->enable((uint64_t{dice_.roll()} << 32) | dice_.roll());
    }

    // Forgets all transfers, as a reset of the core does.
    void reset() {
        reads_.clear();
        writes_.clear();
        write_beats_.clear();
        answers_.clear();
        held_aw_.held = held_w_.held = held_ar_.held = false;
        read_valid_ = answer_valid_ = write_waits_ = false;
        budget_ = 0;
        plan_ready();
        drive();
    }

    bool idle() const { return reads_.empty() && writes_.empty() && write_beats_.empty() && answers_.empty(); }

    // Before the rising edge: the handshakes of this cycle, and what to answer in the next.
    void sample(uint64_t now) {
        now_ = now;
        if (top_.M_AXI(arvalid)) take_read();
        else released(held_ar_, "ARVALID");
        if (top_.M_AXI(awvalid)) take_write();
        else released(held_aw_, "AWVALID");
        if (top_.M_AXI(wvalid)) take_write_beat();
        else released(held_w_, "WVALID");
        if (read_valid_ && top_.M_AXI(rready)) finish_read_beat();
        if (answer_valid_ && top_.M_AXI(bready)) answer_valid_ = false, answers_.pop_front();
        refill();
        if (!reads_.empty() && !read_valid_) offer_read_beat();
        if (!answers_.empty() && !answer_valid_) offer_answer();
        plan_ready();
    }

    // What the core shall see after the edge.
    void drive() {
        pins_.set(top_.M_AXI(arready), read_ready_);
        pins_.set(top_.M_AXI(awready), write_ready_);
        pins_.set(top_.M_AXI(wready), beat_ready_);
        pins_.set(top_.M_AXI(rvalid), read_valid_);
        if (read_valid_) {
            const Read &read = reads_[chosen_];
            pins_.touch();
            top_.M_AXI(rid) = read.id;
            top_.M_AXI(rlast) = read.done + 1 == read.beats;
            top_.M_AXI(rresp) = response_;
            std::memcpy(&top_.M_AXI(rdata), data_, kBusBytes);
        }
        pins_.set(top_.M_AXI(bvalid), answer_valid_);
        if (answer_valid_) {
            pins_.set(top_.M_AXI(bid), answers_.front().id);
            pins_.set(top_.M_AXI(bresp), answers_.front().response);
        }
    }

    // Whether an input of the core is another since the last call.
    bool changed() { return pins_.take_changed(); }

  private:
    struct Request {
        uint64_t address;
        unsigned beats, id, size, burst;
        bool operator!=(const Request &other) const {
            return address != other.address || beats != other.beats || id != other.id || size != other.size ||
                   burst != other.burst;
        }
    };
    struct Beat {
        uint8_t data[kBusBytes];
        uint64_t strobe;
        bool last;
        bool operator!=(const Beat &other) const {
            return strobe != other.strobe || last != other.last || std::memcmp(data, other.data, kBusBytes);
        }
    };
    // A payload that was offered and not yet taken: it must stay as it is.
    template <typename Payload> struct Held {
        bool held = false;
        Payload payload;
    };
    struct Read {
        uint64_t address;
        unsigned beats, id, done;
        uint64_t ready;              // the first cycle in which its data may appear
        std::vector<uint8_t> early;  // its data, where they were fetched when the request came
    };
    struct Write {
        uint64_t address;
        unsigned beats, id;
        std::vector<Beat> data;
    };
    struct Answer {
        Write write;
        unsigned id, response;
        uint64_t ready;
    };

    template <typename Payload> void released(Held<Payload> &held, const char *name) {
        if (held.held) violation_.report(now_, "%s fell before it was accepted", name);
        held.held = false;
    }

    template <typename Payload> void offered(Held<Payload> &held, const Payload &payload, bool taken, const char *name) {
        if (held.held && payload != held.payload)
            violation_.report(now_, "the payload of channel %s changed before it was accepted", name);
        held.held = !taken;
        if (!taken) held.payload = payload;
    }

    void check(const Request &request, const char *what) {
        const auto address = static_cast<unsigned long long>(request.address);
        const unsigned bytes = request.beats * kBusBytes;
        if ((1u << request.size) != kBusBytes)
            violation_.report(now_, "%s at %#llx must be of whole bus words, not of size %u", what, address, request.size);
        if (request.burst != 1)
            violation_.report(now_, "%s at %#llx must have burst type INCR, not %u", what, address, request.burst);
        if (request.address % kBusBytes)
            violation_.report(now_, "%s at %#llx must start at a multiple of %u bytes", what, address, kBusBytes);
        if (request.beats > settings_.burst_beats)
            violation_.report(now_, "%s at %#llx must have at most %u beats, not %u", what, address,
                              static_cast<unsigned>(settings_.burst_beats), request.beats);
        if ((request.address & 4095) + bytes > 4096)
            violation_.report(now_, "%s at %#llx of %u bytes crosses a 4 KiB boundary", what, address, bytes);
    }

    void take_read() {
        const Request request{top_.M_AXI(araddr), top_.M_AXI(arlen) + 1u, top_.M_AXI(arid), top_.M_AXI(arsize),
                              top_.M_AXI(arburst)};
        offered(held_ar_, request, read_ready_, "AR");
        if (!read_ready_) return;
        check(request, "read burst");
        reads_.push_back({request.address, request.beats, request.id, 0, now_ + settings_.latency, {}});
        if (!settings_.stalls) return;
        Read &read = reads_.back();
        read.ready += dice_.roll() % 8;
        // Memory may be read as early as now or as late as on delivery; a core must not depend on which.
        if (dice_.roll() & 1) return;
        read.early.resize(size_t{read.beats} * kBusBytes);
        for (unsigned beat = 0; beat < read.beats; ++beat)
            fetch(read.address + beat * kBusBytes, &read.early[size_t{beat} * kBusBytes]);
    }

    void take_write() {
        const Request request{top_.M_AXI(awaddr), top_.M_AXI(awlen) + 1u, top_.M_AXI(awid), top_.M_AXI(awsize),
                              top_.M_AXI(awburst)};
        offered(held_aw_, request, write_ready_, "AW");
        if (!write_ready_) return;
        check(request, "write burst");
        writes_.push_back({request.address, request.beats, request.id, {}});
        writes_.back().data.reserve(request.beats);
        match_beats();
    }

    void take_write_beat() {
        Beat beat;
        std::memcpy(beat.data, &top_.M_AXI(wdata), kBusBytes);
        beat.strobe = top_.M_AXI(wstrb);
        beat.last = top_.M_AXI(wlast);
        offered(held_w_, beat, beat_ready_, "W");
        if (!beat_ready_) return;
        budget_ -= kBusBytes;
        write_waits_ = false;
        write_beats_.push_back(beat);
        match_beats();
    }

    // Gives write data to the oldest requests; a request or its data may come first.
    void match_beats() {
        while (!writes_.empty() && !write_beats_.empty()) {
            Write &write = writes_.front();
            const Beat &beat = write_beats_.front();
            const auto position = static_cast<unsigned>(write.data.size()) + 1;
            if (beat.last != (position == write.beats))
                violation_.report(now_, "WLAST is %d on beat %u of the %u beats at %#llx", beat.last, position, write.beats,
                                  static_cast<unsigned long long>(write.address));
            write.data.push_back(beat);
            write_beats_.pop_front();
            if (position < write.beats) continue;
            const uint64_t delay = settings_.stalls ? dice_.roll() % 8 : 0;
            const unsigned id = write.id;
            answers_.push_back({std::move(write), id, kOkay, now_ + settings_.latency + delay});
            writes_.pop_front();
        }
    }

    bool exists(uint64_t address) const {
        return address >= settings_.base && address - settings_.base + kBusBytes <= settings_.size;
    }

    void fetch(uint64_t address, uint8_t *into) const {
        if (exists(address)) std::memcpy(into, settings_.bytes + (address - settings_.base), kBusBytes);
        else std::memset(into, 0xEE, kBusBytes);
    }

    // A write shows in memory only when it is answered: nobody may count on it before.
    unsigned commit(const Write &write) {
        unsigned response = kOkay;
        uint64_t address = write.address;
        for (const Beat &beat : write.data) {
            if (exists(address)) {
                uint8_t *bytes = settings_.bytes + (address - settings_.base);
                for (unsigned k = 0; k < kBusBytes; ++k)
                    if (beat.strobe >> k & 1) bytes[k] = beat.data[k];
            } else {
                response = kDecodeError;
            }
            address += kBusBytes;
        }
        return response;
    }

    bool affordable() const { return settings_.bandwidth == 0 || budget_ >= kBusBytes; }

    void refill() {
        if (settings_.bandwidth == 0) {
            budget_ = 0;
            return;
        }
        const double most = 2 * kBusBytes + settings_.bandwidth;
        budget_ += settings_.bandwidth;
        if (budget_ > most) budget_ = most;
    }

    // The oldest burst; under stalls any whose data are there, so long as none of the same id is older.
    bool choose_read() {
        chosen_ = 0;
        if (settings_.stalls && reads_.size() > 1 && (dice_.roll() & 1)) {
            const size_t other = dice_.roll() % reads_.size();
            bool oldest = true;
            for (size_t k = 0; k < other; ++k) oldest = oldest && reads_[k].id != reads_[other].id;
            if (oldest && reads_[other].ready <= now_ + 1) chosen_ = other;
        }
        return reads_[chosen_].ready <= now_ + 1;
    }

    void offer_read_beat() {
        if (stall_r_() || !affordable() || (write_waits_ && budget_ < 2 * kBusBytes && settings_.bandwidth != 0)) return;
        if (!choose_read()) return;
        const Read &read = reads_[chosen_];
        const uint64_t address = read.address + uint64_t{read.done} * kBusBytes;
        response_ = exists(address) ? kOkay : kDecodeError;
        if (read.early.empty()) fetch(address, data_);
        else std::memcpy(data_, &read.early[size_t{read.done} * kBusBytes], kBusBytes);
        budget_ -= kBusBytes;
        read_valid_ = true;
        write_waits_ = top_.M_AXI(wvalid) && !beat_ready_;
    }

    void finish_read_beat() {
        read_valid_ = false;
        Read &read = reads_[chosen_];
        if (++read.done == read.beats) reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(chosen_));
    }

    void offer_answer() {
        Answer &answer = answers_.front();
        if (answer.ready > now_ + 1 || stall_b_()) return;
        answer.response = commit(answer.write);
        answer_valid_ = true;
    }

    void plan_ready() {
        read_ready_ = !stall_ar_();
        write_ready_ = !stall_aw_();
        beat_ready_ = affordable() && !stall_w_();
    }

    Model &top_;
    const MemorySettings settings_;
    Violation &violation_;
    Pins pins_;
    Dice dice_;
    Stall stall_aw_, stall_w_, stall_b_, stall_ar_, stall_r_;
    uint64_t now_ = 0;
    double budget_ = 0;
    bool write_waits_ = false;

    std::deque<Read> reads_;
    std::deque<Write> writes_;
    std::deque<Beat> write_beats_;
    std::deque<Answer> answers_;
    Held<Request> held_aw_, held_ar_;
    Held<Beat> held_w_;

    bool read_ready_ = false, write_ready_ = false, beat_ready_ = false;
    bool read_valid_ = false, answer_valid_ = false;
    size_t chosen_ = 0;
    unsigned response_ = kOkay;
    uint8_t data_[kBusBytes];
};

}  // namespace tilewright
