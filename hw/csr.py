"""The control and status registers behind the AXI4-Lite subordinate."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.registers import (
    COUNTER_BASE,
    COUNTERS,
    IDENTITY,
    SEGMENT_ALIGNMENT,
    Control,
    register,
    segment_address,
)
from ..isa.table import ISA_VERSION, SEGMENTS, ErrorCode
from .layout import INDEX_BITS
from .signatures import AxiLite, SegmentTable, log2

__all__ = ["ControlRegisters"]

_GROUP_BITS = 4  # of a word's address: how many are chosen from in a cycle


class ControlRegisters(Component):
    """Every register of ``isa/registers.py``. Unknown addresses read as 0, and writes to them do nothing.

    Members
    -------
    s_axi
        The AXI4-Lite subordinate.
    start
        A pulse; never while `busy` or while there is an error.
    soft_reset
        A pulse.
    program_base, program_count, watchdog, segments
        As written. Bases are multiples of 64: their low bits are 0.
    busy, done, error_code, error_index
        What STATUS, ERROR_CODE and ERROR_INDEX show.
    counters
        64 bits each, in the order of ``COUNTERS``. Reading a low half keeps the high half of that moment for the
        next read.
    irq
        Enabled, and done or in error.
    awake
        Something here may change at the next edge.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__(
            {
                "s_axi": In(AxiLite()),
                "start": Out(1),
                "soft_reset": Out(1),
                "program_base": Out(config.address_bits),
                "program_count": Out(32),
                "watchdog": Out(32),
                "segments": Out(SegmentTable(config, SEGMENTS)),
                "busy": In(1),
                "done": In(1),
                "error_code": In(range(max(ErrorCode) + 1)),
                "error_index": In(INDEX_BITS),
                "counters": In(data.ArrayLayout(64, len(COUNTERS))),
                "irq": Out(1),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        failed, irq_enable, interrupt = Signal(), Signal(), Signal()
        m.d.comb += failed.eq(self.error_code != ErrorCode.NONE)
        m.d.comb += interrupt.eq(irq_enable & (self.done | failed))
        m.d.sync += self.irq.eq(interrupt)
        writable = self._storage()
        self._write(m, writable, failed, irq_enable)
        self._read(m, writable, failed, irq_enable)
        bus = self.s_axi
        asked = bus.awvalid | bus.wvalid | bus.arvalid
        answering = bus.bvalid | bus.rvalid | ~(bus.awready & bus.wready & bus.arready)
        acting = self.start | self.soft_reset | (self.irq != interrupt)
        m.d.comb += self.awake.eq(asked | answering | acting)
        return m

    def _storage(self) -> dict[int, tuple[Any, int]]:
        """By address: the bits that a register sets, and which of the 32 they begin at."""
        address_bits, low = self._config.address_bits, log2(SEGMENT_ALIGNMENT)
        places = {
            register("PROGRAM_COUNT"): (self.program_count, 0),
            register("WATCHDOG"): (self.watchdog, 0),
        }
        bases = {register("PROGRAM_BASE_LO"): self.program_base}
        for segment in range(SEGMENTS):
            bases[segment_address(segment)] = self.segments.base[segment]
            places[segment_address(segment) + 8] = (self.segments.limit[segment], 0)
        for address, base in bases.items():
            places[address] = (base[low:32], low)
            if address_bits > 32:
                places[address + 4] = (base[32:], 0)
        return places

    def _write(self, m: Module, places: dict[int, tuple[Any, int]], failed: Any, irq_enable: Any) -> None:
        bus = self.s_axi
        address = Signal(10, name="write_word", reset_less=True)
        content = Signal(32, name="write_data", reset_less=True)
        strobe = Signal(4, name="write_strobe", reset_less=True)
        addressed, filled, act = Signal(), Signal(), Signal()
        m.d.comb += [
            bus.awready.eq(~addressed),
            bus.wready.eq(~filled),
            act.eq(addressed & filled & (~bus.bvalid | bus.bready)),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [addressed.eq(1), address.eq(bus.awaddr[2:])]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += [filled.eq(1), content.eq(bus.wdata), strobe.eq(bus.wstrb)]
        with m.If(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(act):
            m.d.sync += [addressed.eq(0), filled.eq(0), bus.bvalid.eq(1)]
        mask = Cat([strobe[bit // 8] for bit in range(32)])
        m.d.sync += [self.start.eq(0), self.soft_reset.eq(0)]
        with m.If(act), m.Switch(address):
            with m.Case(register("CONTROL") >> 2), m.If(strobe[0]):
                m.d.sync += [
                    self.start.eq((content & Control.START).any() & ~self.busy & ~failed),
                    self.soft_reset.eq((content & Control.SOFT_RESET).any()),
                    irq_enable.eq((content & Control.IRQ_ENABLE).any()),
                ]
            for place, (bits, low) in places.items():
                with m.Case(place >> 2):
                    chosen = mask[low : low + len(bits)]
                    m.d.sync += bits.eq((bits & ~chosen) | (content[low : low + len(bits)] & chosen))

    def _read(self, m: Module, places: dict[int, tuple[Any, int]], failed: Any, irq_enable: Any) -> None:
        bus = self.s_axi
        address, pending = Signal(10, name="read_word", reset_less=True), Signal(name="read_pending")
        value, answer = Signal(32, name="read_value"), Signal(32, name="read_answer", reset_less=True)
        look, looked, act = Signal(name="read_look"), Signal(name="read_looked"), Signal(name="read_act")
        m.d.comb += [
            bus.arready.eq(~pending),
            look.eq(pending & ~looked),
            act.eq(looked & (~bus.rvalid | bus.rready)),
            bus.rdata.eq(answer),
        ]
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [pending.eq(1), address.eq(bus.araddr[2:])]
        with m.If(look):
            m.d.sync += looked.eq(1)
        with m.If(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.If(act):
            m.d.sync += [pending.eq(0), looked.eq(0), bus.rvalid.eq(1), answer.eq(value)]
        digest = int(self._config.hash, 16)
        shown: dict[int, Any] = {
            register("IDENTITY"): Const(IDENTITY, 32),
            register("ISA_VERSION"): Const(ISA_VERSION, 32),
            register("CONFIG_HASH_LO"): Const(digest & 0xFFFF_FFFF, 32),
            register("CONFIG_HASH_HI"): Const(digest >> 32, 32),
            register("CONTROL"): Cat(Const(0, 2), irq_enable),
            register("STATUS"): Cat(self.busy, self.done, failed),
            register("ERROR_CODE"): self.error_code,
            register("ERROR_INDEX"): self.error_index,
            **{place: Cat(Const(0, low), bits) for place, (bits, low) in places.items()},
        }
        above: dict[int, Any] = {}
        for n in range(len(COUNTERS)):
            low, high = COUNTER_BASE + 8 * n, COUNTER_BASE + 8 * n + 4
            shown |= {low: self.counters[n][:32], high: self.counters[n][32:]}
            above[low] = self.counters[n][32:]
        chosen, high = self._choose(m, "read", address, look, shown), self._choose(m, "above", address, look, above)
        self._keep_high(m, address, look, act, chosen, high, value)

    def _choose(self, m: Module, name: str, address: Any, look: Any, shown: dict[int, Any]) -> Signal:
        """What `shown` has at the address that is looked at, a cycle later: chosen in groups, then one of these."""
        chosen = Signal(32, name=f"{name}_chosen")
        groups = sorted({place >> 2 + _GROUP_BITS for place in shown})
        words = {group: Signal(32, name=f"{name}_group{group}", reset_less=True) for group in groups}
        with m.If(look), m.Switch(address[:_GROUP_BITS]):
            for n in range(1 << _GROUP_BITS):
                with m.Case(n):
                    m.d.sync += [
                        word.eq(shown.get((group << _GROUP_BITS | n) << 2, 0)) for group, word in words.items()
                    ]
        with m.Switch(address[_GROUP_BITS:]):
            for group, word in words.items():
                with m.Case(group):
                    m.d.comb += chosen.eq(word)
        return chosen

    def _keep_high(self, m: Module, address: Any, look: Any, act: Any, chosen: Any, above: Any, value: Any) -> None:
        """The high half read right after its low half is the one that belonged to it."""
        high, held_for, held = Signal(32, reset_less=True), Signal.like(address), Signal(name="high_held")
        low, meant = Signal(name="low_half"), Signal(name="high_meant")
        first = COUNTER_BASE >> 2
        inside = (address >= first) & (address < first + 2 * len(COUNTERS))
        with m.If(look):
            m.d.sync += [low.eq(inside & ~address[0]), meant.eq(inside & held & (held_for == address))]
            with m.If(inside):
                m.d.sync += held.eq(0)
        m.d.comb += value.eq(Mux(meant, high, chosen))
        with m.If(act & low):
            m.d.sync += [high.eq(above), held.eq(1), held_for.eq(address + 1)]
