"""The vector engine's data path: reduces, combines and requantises what was read, and keeps results in order."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import signed
from amaranth.lib import data, fifo
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from ..isa.table import Function, Memory
from .requantise import LATENCY, Requantiser, ScaleEntry
from .signatures import READ_LATENCY, log2

__all__ = [
    "ASK_BIAS", "ASK_SCALE", "FLAGS", "LOOK_UP", "RESULTS", "WRITTEN", "VectorDatapath", "VectorStep", "table_members",
]  # fmt: skip

_OPERANDS = READ_LATENCY + 1
_COMBINED = _OPERANDS + 1
_REDUCED = _COMBINED + 1
_BIASED = _REDUCED + 1
_SCALED = _BIASED + LATENCY
_RESIDUAL = _SCALED + 1
LOOK_UP = _RESIDUAL + 1
WRITTEN = LOOK_UP + READ_LATENCY
ASK_BIAS, ASK_SCALE = _REDUCED - READ_LATENCY, _BIASED - READ_LATENCY
RESULTS = WRITTEN + 6

FLAGS = {
    "function": 3, "a_memory": 1, "b_memory": 1, "dst_memory": 1, "residual": 1, "bias_enable": 1, "scale_enable": 1,
    "table_enable": 1, "table": 3, "a_zero": signed(8), "b_zero": signed(8), "zero_point": signed(8),
    "minimum": signed(8), "maximum": signed(8),
}  # fmt: skip


class VectorStep(data.StructLayout):
    """What the data path must know of a step when its operands are asked for.

    Members
    -------
    a_fresh
        Operand A is read now; otherwise the one read last is meant.
    step
        The operands are complete: there is a step.
    first, result
        The step is the first, the last of a reduction; with the last, a result comes into being.
    FLAGS
        The instruction's.
    """

    def __init__(self) -> None:
        super().__init__({"a_fresh": 1, "step": 1, "first": 1, "result": 1, **FLAGS})


def table_members(config: Config) -> dict[str, Any]:
    """Addresses into TABLE for every row and lane, and READ_LATENCY cycles later the entries."""
    count = config.rows * config.vector_lanes
    return {
        "table_enable": Out(1),
        "table_address": Out(data.ArrayLayout(8 + log2(config.tables), count)),
        "table_entry": In(data.ArrayLayout(8, count)),
    }


class VectorDatapath(Component):
    """A result is ready WRITTEN cycles and the queue's latency after its last step, unless others wait before it.

    Members
    -------
    step
        See :class:`VectorStep`.
    a_act, a_acc, b_act, b_acc
        Operands of all rows, READ_LATENCY cycles after `step`.
    bias, scale
        The result's entries, READ_LATENCY cycles after they are asked for, which is ASK_BIAS and ASK_SCALE cycles
        after its step.
    table_enable, table_address, table_entry
        See :func:`table_members`; LOOK_UP cycles after the step.
    ready, result, take
        The oldest result for every row, 32 bits a lane, of which ACT takes the low 8; `take` removes it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        rows, lanes = config.rows, config.vector_lanes
        bytes_, words = data.ArrayLayout(8 * lanes, rows), data.ArrayLayout(32 * lanes, rows)
        self._values = data.ArrayLayout(data.ArrayLayout(signed(32), lanes), rows)
        super().__init__(
            {
                "step": In(VectorStep()),
                "a_act": In(bytes_),
                "a_acc": In(words),
                "b_act": In(bytes_),
                "b_acc": In(words),
                "bias": In(32 * lanes),
                "scale": In(64 * lanes),
                **table_members(config),
                "ready": Out(1),
                "result": Out(self._values),
                "take": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        if hasattr(platform, "get_vector_datapath"):
            return platform.get_vector_datapath(self)
        m = Module()
        pipe = [Signal(VectorStep(), name=f"pipe{n}") for n in range(WRITTEN + 1)]
        m.d.comb += pipe[0].eq(self.step)
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        rows, lanes = range(self.config.rows), range(self.config.vector_lanes)
        results = [[self._reduce_lane(m, pipe, row, lane) for lane in lanes] for row in rows]
        self._queue(m, pipe, self._finish(m, pipe, results))
        return m

    def _operand(self, operand: str, memory: Any, row: int, lane: int) -> Any:
        act = getattr(self, f"{operand}_act")[row].word_select(lane, 8).as_signed()
        acc = getattr(self, f"{operand}_acc")[row].word_select(lane, 32).as_signed()
        return Mux(memory == Memory.ACC, acc, act)

    def _reduce_lane(self, m: Module, pipe: list[Any], row: int, lane: int) -> Any:
        """The running value, at stage _REDUCED."""
        name = f"{row}_{lane}"
        arrived, ready, combined = pipe[READ_LATENCY], pipe[_OPERANDS], pipe[_COMBINED]
        held = Signal(signed(32), name=f"held_{name}", reset_less=True)
        fresh = Signal(signed(32), name=f"fresh_{name}")
        a = Signal(signed(32), name=f"a_{name}", reset_less=True)
        b = Signal(signed(9), name=f"b_{name}", reset_less=True)
        x = Signal(signed(32), name=f"x_{name}", reset_less=True)
        t = Signal(signed(32), name=f"t_{name}", reset_less=True)
        m.d.comb += fresh.eq(Mux(arrived.a_fresh, self._operand("a", arrived.a_memory, row, lane), held))
        with m.If(arrived.a_fresh):
            m.d.sync += held.eq(fresh)
        b_byte = self.b_act[row].word_select(lane, 8).as_signed()
        with m.If(arrived.step):
            m.d.sync += [a.eq(fresh - arrived.a_zero), b.eq(b_byte - arrived.b_zero)]
        with m.If(ready.step):
            m.d.sync += x.eq(Mux(ready.function == Function.MAC, a[:9].as_signed() * b, a))
        with m.If(combined.step):
            with m.Switch(combined.function):
                with m.Case(Function.ZERO):
                    m.d.sync += t.eq(0)
                with m.Case(Function.MAX):
                    m.d.sync += t.eq(Mux(combined.first | ~_less(x, t), x, t))
                with m.Case(Function.MIN):
                    m.d.sync += t.eq(Mux(combined.first | _less(x, t), x, t))
                with m.Default():
                    m.d.sync += t.eq(Mux(combined.first, 0, t) + x)
        return t

    def _finish(self, m: Module, pipe: list[Any], results: list[list[Any]]) -> Any:
        """Bias, requantise, residual, clamp: 32 bits for ACC, the low 8 of them for ACT, at stage LOOK_UP."""
        config, values = self.config, self._values
        rows, lanes = config.rows, config.vector_lanes
        m.submodules.requantiser = requantiser = Requantiser(
            rows=rows, lanes=lanes, multiplier_bits=config.multiplier_bits
        )
        biased = Signal(values, reset_less=True)
        residual = self._residual(m, pipe, values)
        summed = Signal(values, reset_less=True)
        clamped = Signal(values, reset_less=True)
        m.d.comb += [
            requantiser.valid.eq(pipe[_BIASED].result),
            requantiser.enable.eq(pipe[_BIASED].scale_enable),
            requantiser.value.eq(biased),
            requantiser.scale.eq(data.View(data.ArrayLayout(ScaleEntry(), lanes), self.scale)),
        ]
        at_reduced, at_scaled, at_residual = pipe[_REDUCED], pipe[_SCALED], pipe[_RESIDUAL]
        bounds = _bounds(m, at_scaled)
        for row in range(rows):
            for lane in range(lanes):
                bias = self.bias.word_select(lane, 32)
                with m.If(at_reduced.result):
                    m.d.sync += biased[row][lane].eq(results[row][lane] + Mux(at_reduced.bias_enable, bias, 0))
                addend = Mux(at_scaled.residual, residual[row][lane], 0)
                with m.If(at_scaled.result):
                    m.d.sync += summed[row][lane].eq(requantiser.result[row][lane] + addend)
                with m.If(at_residual.result):
                    m.d.sync += clamped[row][lane].eq(_clamp(summed[row][lane], at_residual, bounds))
        return clamped

    def _residual(self, m: Module, pipe: list[Any], values: Any) -> Any:
        """Operand B of a result's last step waits here until the value it is added to has been scaled."""
        arrived, wanted = pipe[READ_LATENCY], pipe[_SCALED]
        waiting = Signal(values)
        for row in range(self.config.rows):
            for lane in range(self.config.vector_lanes):
                m.d.comb += waiting[row][lane].eq(self._operand("b", arrived.b_memory, row, lane))
        m.submodules.residuals = residuals = fifo.SyncFIFOBuffered(width=values.size, depth=_SCALED)
        m.d.comb += [
            residuals.w_data.eq(waiting),
            residuals.w_en.eq(arrived.result & arrived.residual),
            residuals.r_en.eq(wanted.result & wanted.residual),
        ]
        return data.View(values, residuals.r_data)

    def _queue(self, m: Module, pipe: list[Any], clamped: Any) -> None:
        """Look bytes up where asked, and let results wait for their memories in order."""
        config, values = self.config, self._values
        start, looked_up = pipe[LOOK_UP], pipe[WRITTEN]
        delayed = [clamped]
        for n in range(READ_LATENCY):
            later = Signal(values, name=f"clamped{n}", reset_less=True)
            with m.If(pipe[LOOK_UP + n].result):
                m.d.sync += later.eq(delayed[-1])
            delayed.append(later)
        outgoing = Signal(values)
        m.d.comb += self.table_enable.eq(start.result & start.table_enable)
        for row in range(config.rows):
            for lane in range(config.vector_lanes):
                n = row * config.vector_lanes + lane
                flipped_sign = clamped[row][lane].as_unsigned()[:8] ^ 0x80
                m.d.comb += self.table_address[n].eq(Cat(flipped_sign, start.table[: log2(config.tables)]))
                m.d.comb += outgoing[row][lane].eq(
                    Mux(looked_up.table_enable, self.table_entry[n], delayed[-1][row][lane])
                )
        m.submodules.results = results = fifo.SyncFIFOBuffered(width=values.size, depth=RESULTS)
        m.d.comb += [
            results.w_data.eq(outgoing),
            results.w_en.eq(looked_up.result),
            results.r_en.eq(self.take),
            self.ready.eq(results.r_rdy),
            self.result.eq(results.r_data),
        ]


def _less(value: Any, other: Any) -> Any:
    """Signed ``value < other`` as a difference's sign: a carry chain, where `<=` would add a tree of gates."""
    return (value - other)[-1]


def _bounds(m: Module, flags: Any) -> Any:
    """Registers of what :func:`_clamp` compares with: of a clamped value before its zero point is added, and after."""
    bounds = Signal(data.StructLayout({"low": signed(10), "high": signed(10), "least": signed(8)}), reset_less=True)
    with m.If(flags.result):
        m.d.sync += [
            bounds.low.eq(flags.minimum - flags.zero_point),
            bounds.high.eq(flags.maximum - flags.zero_point),
            bounds.least.eq(Mux(flags.minimum < flags.maximum, flags.minimum, flags.maximum)),
        ]
    return bounds


def _clamp(value: Any, flags: Any, bounds: Any) -> Any:
    """min(max(value + zero_point, minimum), maximum) in the low 8 bits for ACT, which takes no more; else `value`."""
    shifted = (value + flags.zero_point)[:8].as_signed()
    clamped = Mux(_less(value, bounds.high), Mux(_less(bounds.low, value), shifted, bounds.least), flags.maximum)
    return Mux(flags.dst_memory == Memory.ACC, value, Cat(clamped.as_unsigned()[:8], value[8:]).as_signed())
