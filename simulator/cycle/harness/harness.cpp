// The Verilated core with its clock, its DRAM and its register port, behind a C interface.

#include <memory>

#include "axi_memory.hpp"
#include "clocks.hpp"
#include "control.hpp"
#include "verilated_sym_props.h"

#if TILEWRIGHT_FAST
#include "datapath.hpp"
#endif

#if defined(TILEWRIGHT_WAVE_FST)
#include "verilated_fst_c.h"
using Waveform = VerilatedFstC;
#elif defined(TILEWRIGHT_WAVE_VCD)
#include "verilated_vcd_c.h"
using Waveform = VerilatedVcdC;
#endif

namespace tilewright {

// Laid out as the NumPy dtype in harness.py.
struct Event {
    uint64_t cycle;
    uint32_t index;
    uint8_t engine;
    uint8_t retired;
    uint8_t unused[2];
};

class Harness {
  public:
    Harness(const MemorySettings &settings, bool trace, const char *waveform, bool hidden)
        : context_(make_context()), top_(enter(), "TOP"), model_(*top_.rootp), clocks_(top_),
          memory_(model_, settings, violation_), control_(model_, violation_, settings.stalls),
          trace_(trace), all_clocks_(settings.all_clocks), shown_until_(hidden ? 0 : UINT64_MAX) {
#if defined(TILEWRIGHT_WAVE_FST) || defined(TILEWRIGHT_WAVE_VCD)
        if (*waveform) {
            context_->traceEverOn(true);
            waveform_.reset(new Waveform);
            top_.trace(waveform_.get(), 99);
            waveform_->open(waveform);
        }
#else
        (void)waveform;
#endif
        reset();
    }

    ~Harness() {
#if defined(TILEWRIGHT_WAVE_FST) || defined(TILEWRIGHT_WAVE_VCD)
        if (waveform_) waveform_->close();
#endif
        top_.final();
    }

    VerilatedContext *make_context() {
#if TILEWRIGHT_FAST
        return new DatapathContext(datapath_);
#else
        return new VerilatedContext;
#endif
    }

    VerilatedContext *enter() {
        Verilated::threadContextp(context_.get());
        return context_.get();
    }

    void reset() {
        violation_.clear();
        model_.rst = 1;
        memory_.reset();
        control_.reset();
        for (int k = 0; k < kResetCycles; ++k) edge(true);
        model_.rst = 0;
        edge(true);
    }

    // One cycle: the handshakes as they stand, what the core's inputs will be after the edge, the edge.
    void tick() {
        memory_.sample(now_);
        control_.sample(now_);
        if (trace_) record();
        memory_.drive();
        control_.drive();
        edge(all_clocks_);
    }

    // Until the interrupt line is high, a rule is broken, or `cycles` have passed.
    bool run(uint64_t cycles) {
        while (cycles-- && !violation_) {
            if (model_.irq) return true;
            tick();
        }
        return model_.irq;
    }

    // False where no answer comes.
    bool access(bool write, uint32_t address, uint32_t value) {
        if (write) control_.start_write(address, value);
        else control_.start_read(address);
        load_pins();
        for (int k = 0; k < kAccessCycles && control_.active() && !violation_; ++k) tick();
        if (!control_.active()) return true;
        violation_.report(now_, "the register at %#x does not answer", address);
        return false;
    }

    // The words of a memory array, their number and the bytes from one to the next; null: none there.
    void *array(const char *scope_name, const char *name, uint64_t *words, uint64_t *stride) {
#if TILEWRIGHT_FAST
        (void)scope_name;
        return datapath_.array(name, words, stride);
#else
        const VerilatedScope *scope = Verilated::scopeFind(scope_name);
        const VerilatedVar *array = scope ? scope->varFind(name) : nullptr;
        if (!array) return nullptr;
        *words = static_cast<uint64_t>(array->elements(1));
        *stride = array->totalSize() / *words;
        return array->datap();
#endif
    }

    const Control &control() const { return control_; }
    const AxiMemory &memory() const { return memory_; }
    const Violation &violation() const { return violation_; }
    std::vector<Event> &events() { return events_; }
    void show(uint64_t first, uint64_t end) { shown_from_ = first, shown_until_ = end; }
    uint64_t now() const { return now_; }

  private:
    static constexpr int kResetCycles = 4;
    static constexpr int kAccessCycles = 100000;

    // Parts of the core with a clock of their own: what is asleep need not be evaluated (see Core.clocks).
    void edge(bool all) {
        if (all | model_.AWAKE(sample)) {
            clocks_.RAISE(CLOCK(sample), true);
            clocks_.evaluate();
        }
#if TILEWRIGHT_FAST
        datapath_.step(model_);
#endif
        clocks_.RAISE(clk, true);
#define RAISE_PART(part) clocks_.RAISE(CLOCK(part), all | model_.AWAKE(part));
        TILEWRIGHT_GATED(RAISE_PART)
#undef RAISE_PART
        clock_pins(all);
        clocks_.evaluate();
        ++now_;
        dump(2 * now_);
        if (clocks_.lower()) dump(2 * now_ + 1);
    }

    // Makes the inputs those that the pins say, in no time.
    void load_pins() {
        clock_pins(false);
        clocks_.evaluate();
        clocks_.lower();
    }

    void clock_pins(bool all) {
        clocks_.RAISE(PINS(m_axi), all | memory_.changed());
        clocks_.RAISE(PINS(s_axi), all | control_.changed());
        clocks_.RAISE(PINS(rst), all);
    }

    void dump(uint64_t time) {
#if defined(TILEWRIGHT_WAVE_FST) || defined(TILEWRIGHT_WAVE_VCD)
        if (waveform_ && now_ >= shown_from_ && now_ < shown_until_) waveform_->dump(time);
#else
        (void)time;
#endif
    }

    void note(unsigned engine, bool started, uint32_t started_index, bool retired, uint32_t retired_index) {
        if (started) events_.push_back({now_, started_index, static_cast<uint8_t>(engine), 0, {}});
        if (retired) events_.push_back({now_, retired_index, static_cast<uint8_t>(engine), 1, {}});
    }

#define NOTE(number, engine)                                                            \
    note(number, model_.TRACE(engine, started), model_.TRACE(engine, started_index),        \
         model_.TRACE(engine, retired), model_.TRACE(engine, retired_index))
    void record() {
        NOTE(0, load);
        NOTE(1, gemm);
        NOTE(2, vector);
        NOTE(3, store);
    }
#undef NOTE

#if TILEWRIGHT_FAST
    Datapath datapath_;
#endif
    std::unique_ptr<VerilatedContext> context_;
    Vtilewright top_;
    Model &model_;
    Clocks clocks_;
    Violation violation_;
    AxiMemory memory_;
    Control control_;
    const bool trace_;
    const bool all_clocks_;
    std::vector<Event> events_;
    uint64_t now_ = 0;
    uint64_t shown_from_ = 0;
    uint64_t shown_until_;
#if defined(TILEWRIGHT_WAVE_FST) || defined(TILEWRIGHT_WAVE_VCD)
    std::unique_ptr<Waveform> waveform_;
#endif
};

}  // namespace tilewright

using tilewright::Harness;

#define API extern "C" __attribute__((visibility("default")))

// A waveform that is hidden begins when tilewright_show is called.
API Harness *tilewright_create(const tilewright::MemorySettings *settings, int trace, const char *waveform,
                               int hidden) {
    return new Harness(*settings, trace != 0, waveform, hidden != 0);
}

#if TILEWRIGHT_RECORDING
extern "C" void __gcov_dump(void);
#endif

API void tilewright_destroy(Harness *harness) {
    harness->enter();
    delete harness;
#if TILEWRIGHT_RECORDING
    __gcov_dump();
#endif
}

API void tilewright_reset(Harness *harness) {
    harness->enter();
    harness->reset();
}

// 0 and the register's value; 1 without an answer; 2 where the answer is an error.
API int tilewright_csr_read(Harness *harness, uint32_t address, uint32_t *value) {
    harness->enter();
    if (!harness->access(false, address, 0)) return 1;
    *value = harness->control().value();
    return harness->control().response() ? 2 : 0;
}

API int tilewright_csr_write(Harness *harness, uint32_t address, uint32_t value) {
    harness->enter();
    if (!harness->access(true, address, value)) return 1;
    return harness->control().response() ? 2 : 0;
}

// 1 when the interrupt line is high, 0 when `cycles` have passed before.
API int tilewright_run(Harness *harness, uint64_t cycles) {
    harness->enter();
    return harness->run(cycles);
}

// The first broken bus rule, or an empty string.
API const char *tilewright_violation(Harness *harness) { return harness->violation().text(); }

// Whether no transfer is on its way between the core and its DRAM.
API int tilewright_idle(Harness *harness) { return harness->memory().idle(); }

API uint64_t tilewright_cycle(Harness *harness) { return harness->now(); }

// The events since the last call of tilewright_clear_events; valid until the next cycle.
API uint64_t tilewright_events(Harness *harness, const tilewright::Event **events) {
    *events = harness->events().data();
    return harness->events().size();
}

API void tilewright_clear_events(Harness *harness) { harness->events().clear(); }

// The waveform shows cycles from `first` on and before `end`.
API void tilewright_show(Harness *harness, uint64_t first, uint64_t end) { harness->show(first, end); }

// The words of the memory array `name` in the instance `scope`, and the bytes from one word to the next; null: none there.
API void *tilewright_array(Harness *harness, const char *scope, const char *name, uint64_t *words, uint64_t *stride) {
    harness->enter();
    return harness->array(scope, name, words, stride);
}
