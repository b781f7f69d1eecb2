// One access at a time to the core's AXI4-Lite registers.
#pragma once

#include "ports.hpp"

namespace tilewright {

class Control {
  public:
    Control(Model &top, Violation &violation, uint64_t stalls)
        : top_(top), violation_(violation) {
        if (!stalls) return;
        stall_address_.enable(stalls ^ 0xA11CE);
        stall_data_.enable(stalls ^ 0xB0B);
        stall_answer_.enable(stalls ^ 0xC0FFEE);
    }

    void reset() {
        kind_ = Kind::none;
        address_waits_ = data_waits_ = address_valid_ = data_valid_ = answer_ready_ = false;
        driven_ = true;
        drive();
    }

    void start_read(uint32_t address) { start(Kind::read, address, 0); }
    void start_write(uint32_t address, uint32_t value) { start(Kind::write, address, value); }
    bool active() const { return kind_ != Kind::none; }
    uint32_t value() const { return value_; }
    unsigned response() const { return response_; }

    // Before the rising edge.
    void sample(uint64_t now) {
        if (kind_ == Kind::none) {
            if (top_.S_AXI(rvalid) || top_.S_AXI(bvalid))
                violation_.report(now, "the register port answers without a request");
            return;
        }
        if (kind_ == Kind::read) sample_read();
        else sample_write();
        if (kind_ != Kind::none) plan();
    }

    // What the core shall see after the edge.
    void drive() {
        if (kind_ == Kind::none && !driven_) return;
        driven_ = kind_ != Kind::none;
        changed_ = true;
        const bool read = kind_ == Kind::read;
        top_.S_AXI(arvalid) = read && address_valid_;
        top_.S_AXI(awvalid) = !read && address_valid_;
        top_.S_AXI(wvalid) = data_valid_;
        top_.S_AXI(araddr) = top_.S_AXI(awaddr) = address_;
        top_.S_AXI(arprot) = top_.S_AXI(awprot) = 0;
        top_.S_AXI(wdata) = value_;
        top_.S_AXI(wstrb) = 0xF;
        top_.S_AXI(rready) = read && answer_ready_;
        top_.S_AXI(bready) = !read && answer_ready_;
    }

    // Whether an input of the core may be another since the last call.
    bool changed() {
        const bool changed = changed_;
        changed_ = false;
        return changed;
    }

  private:
    enum class Kind { none, read, write };

    void start(Kind kind, uint32_t address, uint32_t value) {
        kind_ = kind;
        address_ = address;
        value_ = value;
        address_waits_ = true;
        data_waits_ = kind == Kind::write;
        address_valid_ = data_valid_ = answer_ready_ = false;
        plan();
        drive();
    }

    void sample_read() {
        if (address_valid_ && top_.S_AXI(arready)) address_waits_ = address_valid_ = false;
        if (answer_ready_ && top_.S_AXI(rvalid)) {
            value_ = top_.S_AXI(rdata);
            finish(top_.S_AXI(rresp));
        }
    }

    void sample_write() {
        if (address_valid_ && top_.S_AXI(awready)) address_waits_ = address_valid_ = false;
        if (data_valid_ && top_.S_AXI(wready)) data_waits_ = data_valid_ = false;
        if (answer_ready_ && top_.S_AXI(bvalid)) finish(top_.S_AXI(bresp));
    }

    void finish(unsigned response) {
        response_ = response;
        kind_ = Kind::none;
        address_valid_ = data_valid_ = answer_ready_ = false;
    }

    // A valid that was given stays until it is accepted.
    void plan() {
        address_valid_ = address_valid_ || (address_waits_ && !stall_address_());
        data_valid_ = data_valid_ || (data_waits_ && !stall_data_());
        answer_ready_ = !stall_answer_();
    }

    Model &top_;
    Violation &violation_;
    Stall stall_address_, stall_data_, stall_answer_;
    Kind kind_ = Kind::none;
    uint32_t address_ = 0, value_ = 0;
    unsigned response_ = 0;
    bool address_waits_ = false, data_waits_ = false;
    bool address_valid_ = false, data_valid_ = false, answer_ready_ = false;
    bool driven_ = true, changed_ = true;
};

}  // namespace tilewright
