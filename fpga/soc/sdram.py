"""The system's memory in a board's SDRAM of single data rate."""

from math import ceil
from typing import Any

from amaranth import Array, Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, Signature

from ...hw.signatures import log2
from ..sdram_chip import SdramChip
from .memory_bus import MemoryBus

__all__ = ["SdramController", "SdramPins"]

_ALL_BANKS = 1 << 10
_POWER_UP_NS = 200_000
_FIRST_REFRESHES = 8
# Command inputs, active high: (ras, cas, we)
_ACTIVATE, _READ, _WRITE = (1, 0, 0), (0, 1, 0), (0, 1, 1)
_PRECHARGE, _REFRESH, _MODE = (1, 0, 1), (1, 1, 0), (1, 1, 1)


class SdramPins(Signature):
    """The controller's side, one register away from the chip each way. The chip's clock is the inverted one.

    Members
    -------
    ras, cas, we
        The command, active high; the chip is always selected and its clock enabled.
    bank, address, mask, output, drive
        Beside the command, and the data that the chip is to take.
    input
        The chip's data.
    """

    def __init__(self, chip: SdramChip) -> None:
        super().__init__(
            {
                "ras": Out(1), "cas": Out(1), "we": Out(1),
                "bank": Out(chip.bank_bits), "address": Out(chip.row_bits), "mask": Out(chip.data_bits // 8),
                "output": Out(chip.data_bits), "drive": Out(1), "input": In(chip.data_bits),
            }
        )  # fmt: skip


class SdramController(Component):
    """A word is one burst. Rows stay open until another row of their bank, or a refresh, is wanted.

    Words of an open row follow one another without a gap, whatever the order of their columns.

    Parameters
    ----------
    word_bytes
        Of the bus: 1, 2, 4 or 8 times as many as the chip's data lines carry.

    Members
    -------
    bus
        The words from address 0 on: columns lowest, then banks, then rows.
    pins
        To the chip, through a register on each pin.
    """

    def __init__(self, chip: SdramChip, *, clock_hz: int, word_bytes: int) -> None:
        self._chip, self._word_bytes = chip, word_bytes
        self._beats = 8 * word_bytes // chip.data_bits
        self._cycle_ns = 1e9 / clock_hz
        words = chip.size // word_bytes
        super().__init__(
            {"bus": In(MemoryBus(address_bits=log2(words), word_bytes=word_bytes)), "pins": Out(SdramPins(chip))}
        )

    def _cycles(self, nanoseconds: float) -> int:
        return max(1, ceil(nanoseconds / self._cycle_ns))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        chip, command = self._chip, self.bus.command
        places = data.StructLayout(
            {"column": chip.column_bits - log2(self._beats), "bank": chip.bank_bits, "row": chip.row_bits}
        )
        place = data.View(places, command.p.address)
        wait = Signal(range(max(self._cycles(_POWER_UP_NS), 256)), init=self._cycles(_POWER_UP_NS) - 1)
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        late = self._refreshes(m)
        reading = self._answers(m)
        writing = self._write_data(m)
        opened = Signal(1 << chip.bank_bits)
        rows = Array(Signal(chip.row_bits, name=f"row{bank}") for bank in range(1 << chip.bank_bits))
        settle = Signal(range(256))  # until a precharge is allowed
        turn = Signal(range(64))  # until the data lines are free for writing
        for counter in (settle, turn):
            with m.If(counter != 0):
                m.d.sync += counter.eq(counter - 1)
        with m.FSM():
            self._begin(m, wait)
            with m.State("READY"), m.If(wait == 0):
                with m.If(late & opened.any()):
                    with m.If(settle == 0):
                        self._say(m, wait, _PRECHARGE, _ALL_BANKS, self._cycles(chip.precharge_ns))
                        m.d.sync += opened.eq(0)
                with m.Elif(late):
                    self._say(m, wait, _REFRESH, 0, self._cycles(chip.refresh_ns))
                    m.d.comb += self._refreshed.eq(1)
                with m.Elif(command.valid):
                    self._serve(m, place, wait, opened, rows, settle, turn, reading, writing)
        return m

    def _say(self, m: Module, wait: Signal, command: tuple[int, int, int], address: Any, cycles: int) -> None:
        """A command in this cycle, and the cycles until the next may follow."""
        pins = self.pins
        m.d.comb += [Cat(pins.ras, pins.cas, pins.we).eq(Cat(*(Const(bit, 1) for bit in command)))]
        m.d.comb += pins.address.eq(address)
        m.d.sync += wait.eq(cycles - 1)

    def _begin(self, m: Module, wait: Signal) -> None:
        """Power-up: precharge, refreshes, mode register."""
        chip, left = self._chip, Signal(range(_FIRST_REFRESHES + 1), init=_FIRST_REFRESHES)
        with m.State("POWER-UP"), m.If(wait == 0):
            self._say(m, wait, _PRECHARGE, _ALL_BANKS, self._cycles(chip.precharge_ns))
            m.next = "REFRESH"
        with m.State("REFRESH"), m.If(wait == 0):
            self._say(m, wait, _REFRESH, 0, self._cycles(chip.refresh_ns))
            m.d.sync += left.eq(left - 1)
            with m.If(left == 1):
                m.next = "MODE"
        with m.State("MODE"), m.If(wait == 0):
            self._say(m, wait, _MODE, chip.cas_latency << 4 | log2(self._beats), chip.mode_cycles)
            m.next = "READY"

    def _refreshes(self, m: Module) -> Signal:
        """Whether one is due. A burst or two may go before it, for which the interval leaves room."""
        interval = int(self._chip.interval_ns / self._cycle_ns) - 64
        since, due = Signal(range(interval + 1)), Signal()
        self._refreshed = Signal()
        with m.If(since == interval):
            m.d.sync += [since.eq(0), due.eq(1)]
        with m.Else():
            m.d.sync += since.eq(since + 1)
        with m.If(self._refreshed):
            m.d.sync += due.eq(0)
        return due

    def _serve(
        self, m: Module, place: Any, wait: Signal, opened: Signal, rows: Array, settle: Signal, turn: Signal,
        reading: Signal, writing: Signal,
    ) -> None:  # fmt: skip
        """The next step towards the command at hand."""
        chip, command, pins = self._chip, self.bus.command, self.pins
        m.d.comb += pins.bank.eq(place.bank)
        column = Cat(Const(0, log2(self._beats)), place.column)
        bit = Const(1, 1 << chip.bank_bits) << place.bank
        with m.If(~opened.bit_select(place.bank, 1)):
            self._say(m, wait, _ACTIVATE, place.row, self._cycles(chip.activate_ns))
            m.d.sync += [opened.eq(opened | bit), rows[place.bank].eq(place.row)]
            m.d.sync += settle.eq(self._cycles(chip.active_ns))
        with m.Elif(rows[place.bank] != place.row):
            with m.If(settle == 0):
                self._say(m, wait, _PRECHARGE, 0, self._cycles(chip.precharge_ns))
                m.d.sync += opened.eq(opened & ~bit)
        with m.Elif(~command.p.write):
            self._say(m, wait, _READ, column, self._beats)
            m.d.comb += [reading.eq(1), command.ready.eq(1)]
            m.d.sync += turn.eq(chip.cas_latency + self._beats + 1)
            self._at_least(m, settle, self._beats)
        with m.Elif(turn == 0):
            self._say(m, wait, _WRITE, column, self._beats)
            m.d.comb += [writing.eq(1), command.ready.eq(1)]
            self._at_least(m, settle, self._beats + self._cycles(chip.recovery_ns))

    def _at_least(self, m: Module, counter: Signal, cycles: int) -> None:
        with m.If(counter <= cycles):
            m.d.sync += counter.eq(cycles)

    def _write_data(self, m: Module) -> Signal:
        """The returned signal begins a burst, with its first part in the same cycle."""
        begin, command, pins = Signal(), self.bus.command, self.pins
        words, strobes = Signal(8 * self._word_bytes, reset_less=True), Signal(self._word_bytes, reset_less=True)
        left, bits = Signal(range(self._beats)), self._chip.data_bits
        m.d.comb += [pins.drive.eq(begin | (left != 0))]
        with m.If(begin):
            m.d.comb += [pins.output.eq(command.p.data), pins.mask.eq(~command.p.strobe)]
            m.d.sync += [words.eq(command.p.data >> bits), strobes.eq(command.p.strobe >> bits // 8)]
            m.d.sync += left.eq(self._beats - 1)
        with m.Elif(left != 0):
            m.d.comb += [pins.output.eq(words), pins.mask.eq(~strobes)]
            m.d.sync += [words.eq(words >> bits), strobes.eq(strobes >> bits // 8), left.eq(left - 1)]
        return begin

    def _answers(self, m: Module) -> Signal:
        """The returned signal tells of a READ in this cycle; `cas_latency` + 1 cycles later its first part is there."""
        begin = Signal()
        latency = self._chip.cas_latency + 1
        on_the_way = Signal(latency + self._beats)
        word = Signal(8 * self._word_bytes, reset_less=True)
        m.d.sync += [
            on_the_way.eq(Cat(begin, on_the_way[:-1])),
            word.eq(Cat(word[self._chip.data_bits :], self.pins.input)),
        ]
        m.d.comb += [self.bus.answered.eq(on_the_way[-1]), self.bus.answer.eq(word)]
        return begin
