// The Verilated system with its serial line on a pseudo-terminal, behind a C interface.

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "Vtilewright.h"
#include "line.hpp"
#include "sdram.hpp"

namespace tilewright {

class Board {
  public:
    Board(double cycles_per_bit, uint64_t seed)
        : context_(new VerilatedContext), top_(enter(), "TOP"), to_(cycles_per_bit), from_(cycles_per_bit), dice_(seed) {
        open_terminal();
        reset();
    }

    ~Board() {
        top_.final();
        if (host_ >= 0) close(host_);
        if (terminal_ >= 0) close(terminal_);
    }

    VerilatedContext *enter() {
        Verilated::threadContextp(context_.get());
        return context_.get();
    }

    // Until stop(). Simulated time stands still while nothing happens on the board or its line.
    void serve() {
        while (!stopped_) {
            exchange(quiet_ > kQuiet ? kNap : 0);
            for (int k = 0; k < kSlice; ++k) tick();
        }
    }

    void stop() { stopped_ = true; }
    void press_reset() { reset_wanted_ = true; }
    void cut(bool is) { cut_ = is; }
    const char *name() const { return name_.c_str(); }
    uint64_t cycles() const { return now_; }
    double idle() const { return naps_ * kNap / 1000.0; }

    void set_faults(const Faults &faults, uint64_t seed) {
        std::lock_guard<std::mutex> hold(mutex_);
        faults_ = faults;
        dice_ = Dice(seed);
        cut_until_ = 0;
    }

  private:
    static constexpr int kSlice = 500;
    static constexpr int kQuiet = 20000;
    static constexpr int kNap = 20;
    static constexpr int kResetCycles = 4;
    static constexpr size_t kWaiting = 4096;

    void open_terminal() {
        terminal_ = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (terminal_ < 0 || grantpt(terminal_) || unlockpt(terminal_)) return;
        char name[128];
        if (ptsname_r(terminal_, name, sizeof name)) return;
        host_ = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);  // kept open, so that hosts may come and go
        termios settings;
        if (host_ < 0 || tcgetattr(host_, &settings)) return;
        cfmakeraw(&settings);
        if (!tcsetattr(host_, TCSANOW, &settings)) name_ = name;
    }

    void reset() {
        top_.rst = 1;
        for (int k = 0; k < kResetCycles; ++k) edge(true);
        top_.rst = 0;
    }

    // Parts of the core that sleep need not be evaluated (see Core.clocks).
#define LOWER(part) top_.clocks___05F##part = 0;
#define RAISE(part) top_.clocks___05F##part = top_.rst | top_.awake___05F##part;
    void edge(bool level) {
        top_.clk = 0;
        top_.rx = level;
        TILEWRIGHT_GATED(LOWER)
        RAISE(sample)
        top_.eval();
        sdram_.step(top_);
        top_.clk = 1;
        TILEWRIGHT_GATED(RAISE)
        LOWER(sample)
        top_.eval();
        ++now_;
    }
#undef RAISE
#undef LOWER

    void tick() {
        const bool busy = !to_.idle() || !from_.idle() || top_.running || now_ < cut_until_;
        edge(to_.level());
        const int byte = from_.take(top_.tx);
        if (byte >= 0) to_host(byte);
        quiet_ = busy || byte >= 0 ? 0 : quiet_ + 1;
    }

    void exchange(int nap) {
        pollfd waits{terminal_, POLLIN, 0};
        if (nap && poll(&waits, 1, nap) == 0) ++naps_;
        if (reset_wanted_.exchange(false)) reset();
        uint8_t bytes[512];
        while (to_.waiting() < kWaiting) {
            const ssize_t count = read(terminal_, bytes, sizeof bytes);
            if (count <= 0) break;
            quiet_ = 0;
            for (ssize_t k = 0; k < count; ++k) to_board(bytes[k]);
        }
        while (!outgoing_.empty()) {
            const ssize_t count = write(terminal_, outgoing_.data(), outgoing_.size());
            if (count <= 0) break;
            outgoing_.erase(0, static_cast<size_t>(count));
        }
    }

    void to_board(unsigned byte) {
        std::lock_guard<std::mutex> hold(mutex_);
        if (chance(faults_.garbage))
            for (uint32_t left = dice_.roll() % 40; left; --left) to_.put(dice_.roll() & 0xFF, 0);
        if (!lost()) to_.put(byte, flip());
    }

    void to_host(unsigned byte) {
        std::lock_guard<std::mutex> hold(mutex_);
        if (chance(faults_.garbage))
            for (uint32_t left = dice_.roll() % 40; left; --left) outgoing_.push_back(static_cast<char>(dice_.roll()));
        if (!lost()) outgoing_.push_back(static_cast<char>(byte ^ (flip() >> 1 & 0xFF)));
    }

    bool chance(double odds) { return dice_.chance(odds); }
    unsigned flip() { return chance(faults_.flips) ? 1u << dice_.roll() % 10 : 0; }

    // Whether a byte that is on the line in this cycle does not arrive; also when the board is to be reset.
    bool lost() {
        if (chance(faults_.resets)) reset_wanted_ = true;
        if (chance(faults_.cuts)) cut_until_ = now_ + dice_.roll() % 100000;
        return cut_ || now_ < cut_until_ || chance(faults_.losses);
    }

    std::unique_ptr<VerilatedContext> context_;
    Vtilewright top_;
    Sdram<Vtilewright> sdram_;
    ToBoard to_;
    FromBoard from_;
    std::string name_, outgoing_;
    int terminal_ = -1, host_ = -1;
    int quiet_ = 0;
    std::atomic<uint64_t> now_{0}, cut_until_{0}, naps_{0};
    std::atomic<bool> stopped_{false}, reset_wanted_{false}, cut_{false};
    std::mutex mutex_;  // guards what follows
    Faults faults_{};
    Dice dice_;
};

}  // namespace tilewright

using tilewright::Board;

#define API extern "C" __attribute__((visibility("default")))

API Board *board_create(double cycles_per_bit, uint64_t seed) { return new Board(cycles_per_bit, seed); }

API void board_destroy(Board *board) {
    board->enter();
    delete board;
}

// The host's end of the line, a file name; empty where there is no pseudo-terminal to be had.
API const char *board_name(Board *board) { return board->name(); }

// Runs the board; ends after board_stop, which another thread calls, as it may all of the following.
API void board_serve(Board *board) {
    board->enter();
    board->serve();
}

API void board_stop(Board *board) { board->stop(); }
API void board_reset(Board *board) { board->press_reset(); }
API void board_cut(Board *board, int cut) { board->cut(cut != 0); }
API uint64_t board_cycles(Board *board) { return board->cycles(); }

// Seconds for which nothing happened, and few cycles were simulated.
API double board_idle(Board *board) { return board->idle(); }

API void board_set_faults(Board *board, const tilewright::Faults *faults, uint64_t seed) {
    board->set_faults(*faults, seed);
}
