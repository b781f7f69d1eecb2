"""The vector engine: reduce, combine, requantise and write, one vector of lanes a cycle."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import signed
from amaranth.lib import data, fifo
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.table import VECTOR_DIMS, Function, Memory, Opcode
from .cells import ScratchpadShape
from .nest import NestWalker, nest_start
from .requantise import LATENCY, Requantiser, ScaleEntry
from .scratchpad import ScratchpadReader, ScratchpadWriter
from .sequencer import Sequencer
from .signatures import READ_LATENCY, engine_members, log2
from .vector_window import VectorWindow

__all__ = ["VectorEngine", "table_members"]

_OPERANDS = READ_LATENCY + 1
_COMBINED = _OPERANDS + 1
_REDUCED = _COMBINED + 1
_BIASED = _REDUCED + 1
_SCALED = _BIASED + LATENCY
_RESIDUAL = _SCALED + 1
_CLAMPED = _RESIDUAL + 1
_WRITTEN = _CLAMPED + READ_LATENCY

_FLAGS = {
    "function": 3, "a_memory": 1, "b_memory": 1, "dst_memory": 1, "residual": 1, "bias_enable": 1, "scale_enable": 1,
    "table_enable": 1, "table": 3, "a_zero": signed(8), "b_zero": signed(8), "zero_point": signed(8),
    "minimum": signed(8), "maximum": signed(8),
}  # fmt: skip


def table_members(config: Config) -> dict[str, Any]:
    """Addresses into TABLE for every row and lane, and READ_LATENCY cycles later the entries."""
    count = config.rows * config.vector_lanes
    return {
        "table_enable": Out(1),
        "table_address": Out(data.ArrayLayout(8 + log2(config.tables), count)),
        "table_entry": In(data.ArrayLayout(8, count)),
    }


class VectorEngine(Component):
    """See docs/isa.md, VECTOR. Channels beyond `vector_lanes` take further passes over the nest.

    Parameters
    ----------
    act, acc, bias, scale
        Shapes of the scratchpads it works on.

    Members
    -------
    a_act, a_acc, b_act, b_acc, bias_read, scale_read, act_write, acc_write
        Its clients' ends of the scratchpads; BIAS and SCALE must serve it at once.
    """

    def __init__(
        self,
        config: Config,
        *,
        act: ScratchpadShape,
        acc: ScratchpadShape,
        bias: ScratchpadShape,
        scale: ScratchpadShape,
    ) -> None:
        lanes = config.vector_lanes
        self._config = config
        self._beats = config.block_out // lanes
        super().__init__(
            {
                **engine_members(Opcode.VECTOR),
                "a_act": Out(ScratchpadReader(act, lanes)),
                "a_acc": Out(ScratchpadReader(acc, 4 * lanes)),
                "b_act": Out(ScratchpadReader(act, lanes)),
                "b_acc": Out(ScratchpadReader(acc, 4 * lanes)),
                "bias_read": Out(ScratchpadReader(bias, 4 * lanes)),
                "scale_read": Out(ScratchpadReader(scale, 8 * lanes)),
                "act_write": Out(ScratchpadWriter(act, lanes)),
                "acc_write": Out(ScratchpadWriter(acc, 4 * lanes)),
                **table_members(config),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(Opcode.VECTOR)
        for name in ("instruction", "tokens"):
            connect(m, getattr(sequencer, name), flipped(getattr(self, name)))
        for name in ("pending", "oldest", "started", "started_index", "retired", "retired_index"):
            m.d.comb += getattr(self, name).eq(getattr(sequencer, name))
        m.d.comb += sequencer.halt.eq(self.halt)
        walker = self._walker(m, sequencer)
        m.submodules.window = window = VectorWindow(
            memory_bits=1, address_bits=self._unit_bits, rows=config.rows, depth=_WRITTEN + 6
        )
        issue, pipe = self._issue(m, walker.point, window)
        results = self._reduce(m, pipe)
        outputs = self._finish(m, pipe, results)
        self._write(m, pipe, outputs, window, sequencer)
        m.d.comb += [
            self.awake.eq(sequencer.awake | walker.point.valid),
            self.activity.busy.eq(walker.point.valid | self.pending | self.instruction.valid),
            self.activity.token.eq(sequencer.waiting & ~walker.point.valid),
            self.activity.bank.eq(walker.point.valid & ~issue & ~self.halt),
            self.activity.progress.eq(issue | sequencer.started | sequencer.retired | window.release),
        ]
        return m

    @property
    def _cell_bits(self) -> int:
        return log2(max(self._config.act_depth, self._config.acc_depth))

    @property
    def _unit_bits(self) -> int:
        return self._cell_bits + log2(self._beats)

    def _walker(self, m: Module, sequencer: Sequencer) -> NestWalker:
        """The nest, with a pass over all of it for each group of lanes as the outermost loop."""
        config = self._config
        context = data.StructLayout({**_FLAGS, "reduced": VECTOR_DIMS, "row_mask": config.rows})
        operands = {"a": self._cell_bits, "b": self._cell_bits, "dst": self._cell_bits}
        channels = {"bias": log2(config.bias_depth), "scale": log2(config.scale_depth)}
        passes = {"beat": log2(self._beats)} if self._beats > 1 else {}
        dims = VECTOR_DIMS + len(passes)
        m.submodules.walker = walker = NestWalker(
            dims=dims, bound_bits=16, operands={**operands, **channels, **passes}, context=context
        )
        start, word = walker.start, sequencer.nest.payload.word
        nest_start(m, start.payload, word, {name: name for name in operands})
        m.d.comb += [start.valid.eq(sequencer.nest.valid), sequencer.nest.ready.eq(start.ready)]
        for name in channels:
            m.d.comb += start.p[f"{name}_base"].eq(word[f"{name}_base"])
            for d in range(VECTOR_DIMS):
                stride = word[f"channel_stride{d}"]
                fixed = word.scale_shared if name == "scale" else 0
                m.d.comb += start.p[f"{name}_stride"][dims - VECTOR_DIMS + d].eq(Mux(fixed, 0, stride))
        if passes:
            m.d.comb += [start.p.bound[0].eq(self._beats), start.p.beat_stride[0].eq(1)]
        for name in _FLAGS:
            m.d.comb += start.p.context[name].eq(word[name])
        for d in range(VECTOR_DIMS):
            m.d.comb += start.p.context.reduced[d].eq(word.reduce >= VECTOR_DIMS - d)
        m.d.comb += start.p.context.row_mask.eq(word.row_mask)
        return walker

    def _unit(self, m: Module, point: Any, operand: str, memory: Any) -> Signal:
        """Address of an operand in units of lanes, of ACT or ACC."""
        config = self._config
        beat = point.p.beat if self._beats > 1 else None
        address = point.p[operand]
        group = address[log2(config.block_out // config.granule) : log2(config.act_depth)]
        unit = Signal(self._unit_bits, name=f"{operand}_unit")
        cell = address[: log2(config.acc_depth)]
        join = (lambda high: high) if beat is None else (lambda high: Cat(beat, high))
        m.d.comb += unit.eq(Mux(memory == Memory.ACC, join(cell), join(group)))
        return unit

    def _issue(self, m: Module, point: Any, window: VectorWindow) -> tuple[Signal, list[Any]]:
        """Ask for operands; a step goes on when it has all of them.

        Operand B is asked for with A or after it: where both lie in one bank, A comes first and is held.
        """
        flags = point.p.context
        reduced = flags.reduced
        first = (point.p.zero[-VECTOR_DIMS:] | ~reduced).all()
        last = (point.p.end[-VECTOR_DIMS:] | ~reduced).all()
        a_needed = Signal()
        b_needed = Signal()
        a_unit = self._unit(m, point, "a", flags.a_memory)
        b_unit = self._unit(m, point, "b", flags.b_memory)
        dst_unit = self._unit(m, point, "dst", flags.dst_memory)
        may = Signal()
        a_done, a_now, a_have, b_now, issue = Signal(), Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            a_needed.eq(flags.function != Function.ZERO),
            b_needed.eq((flags.function == Function.MAC) | (flags.residual & last)),
            window.look_a.memory.eq(flags.a_memory),
            window.look_a.address.eq(a_unit),
            window.look_b.memory.eq(flags.b_memory),
            window.look_b.address.eq(b_unit),
            may.eq(point.valid & window.room & ~self.halt),
        ]
        a_ask, b_ask = Signal(), Signal()
        m.d.comb += [
            a_ask.eq(may & a_needed & ~a_done & ~window.hit_a),
            a_have.eq(a_done | ~a_needed | a_now),
            b_ask.eq(may & b_needed & ~window.hit_b & a_have),
            issue.eq(may & a_have & (~b_needed | b_now)),
            point.ready.eq(issue),
        ]
        m.d.sync += a_done.eq(~issue & (a_done | a_now))
        self._ask(m, "a", flags.a_memory, a_unit, a_ask, a_now)
        self._ask(m, "b", flags.b_memory, b_unit, b_ask, b_now)
        m.d.comb += [
            window.claim.eq(issue & last),
            window.claimed.memory.eq(flags.dst_memory),
            window.claimed.address.eq(dst_unit),
            window.claimed.rows.eq(flags.row_mask),
            window.claimed.last.eq(point.p.last),
        ]
        return issue, self._pipe(m, point, {"a_fresh": a_now, "step": issue, "first": first, "result": issue & last})

    def _ask(self, m: Module, operand: str, memory: Any, unit: Any, ask: Any, granted: Any) -> None:
        act, acc = getattr(self, f"{operand}_act").request, getattr(self, f"{operand}_acc").request
        m.d.comb += [
            act.valid.eq(ask & (memory == Memory.ACT)),
            act.payload.eq(unit),
            acc.valid.eq(ask & (memory == Memory.ACC)),
            acc.payload.eq(unit),
            granted.eq((act.valid & act.ready) | (acc.valid & acc.ready)),
        ]

    def _pipe(self, m: Module, point: Any, marks: dict[str, Any]) -> list[Any]:
        """What travels beside the values: marks of a step and its instruction's flags."""
        config = self._config
        layout = data.StructLayout(
            {
                **dict.fromkeys(marks, 1),
                **_FLAGS,
                "bias": log2(config.bias_depth) + log2(self._beats),
                "scale": log2(config.scale_depth) + log2(self._beats),
            }
        )
        pipe = [Signal(layout, name=f"pipe{n}") for n in range(_WRITTEN + 1)]
        for name, value in marks.items():
            m.d.comb += pipe[0][name].eq(value)
        for name in _FLAGS:
            m.d.comb += pipe[0][name].eq(point.p.context[name])
        beat = [point.p.beat] if self._beats > 1 else []
        m.d.comb += [pipe[0].bias.eq(Cat(*beat, point.p.bias)), pipe[0].scale.eq(Cat(*beat, point.p.scale))]
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        return pipe

    def _reduce(self, m: Module, pipe: list[Any]) -> list[list[Any]]:
        """The running value of every row and lane, at stage _REDUCED."""
        config = self._config
        ask_bias, ask_scale = pipe[_REDUCED - READ_LATENCY], pipe[_BIASED - READ_LATENCY]
        m.d.comb += [
            self.bias_read.request.valid.eq(ask_bias.result),
            self.bias_read.request.payload.eq(ask_bias.bias),
            self.scale_read.request.valid.eq(ask_scale.result),
            self.scale_read.request.payload.eq(ask_scale.scale),
        ]
        return [
            [self._reduce_lane(m, pipe, row, lane) for lane in range(config.vector_lanes)] for row in range(config.rows)
        ]

    def _reduce_lane(self, m: Module, pipe: list[Any], row: int, lane: int) -> Any:
        name = f"{row}_{lane}"
        arrived, ready, combined = pipe[READ_LATENCY], pipe[_OPERANDS], pipe[_COMBINED]

        def read(operand: str, memory: Any) -> Any:
            act = getattr(self, f"{operand}_act").data[row].word_select(lane, 8).as_signed()
            acc = getattr(self, f"{operand}_acc").data[row].word_select(lane, 32).as_signed()
            return Mux(memory == Memory.ACC, acc, act)

        held = Signal(signed(32), name=f"held_{name}", reset_less=True)
        fresh = Signal(signed(32), name=f"fresh_{name}")
        a = Signal(signed(32), name=f"a_{name}", reset_less=True)
        b = Signal(signed(9), name=f"b_{name}", reset_less=True)
        x = Signal(signed(32), name=f"x_{name}", reset_less=True)
        t = Signal(signed(32), name=f"t_{name}", reset_less=True)
        m.d.comb += fresh.eq(Mux(arrived.a_fresh, read("a", arrived.a_memory), held))
        with m.If(arrived.a_fresh):
            m.d.sync += held.eq(fresh)
        b_byte = self.b_act.data[row].word_select(lane, 8).as_signed()
        with m.If(arrived.step):
            m.d.sync += [a.eq(fresh - arrived.a_zero), b.eq(b_byte - arrived.b_zero)]
        with m.If(ready.step):
            m.d.sync += x.eq(Mux(ready.function == Function.MAC, a[:9].as_signed() * b, a))
        with m.If(combined.step):
            with m.Switch(combined.function):
                with m.Case(Function.ZERO):
                    m.d.sync += t.eq(0)
                with m.Case(Function.MAX):
                    m.d.sync += t.eq(Mux(combined.first | (x > t), x, t))
                with m.Case(Function.MIN):
                    m.d.sync += t.eq(Mux(combined.first | (x < t), x, t))
                with m.Default():
                    m.d.sync += t.eq(Mux(combined.first, 0, t) + x)
        return t

    def _finish(self, m: Module, pipe: list[Any], results: list[list[Any]]) -> Any:
        """Bias, requantise, residual, clamp: 32 bits for ACC, the low 8 of them for ACT, at stage _CLAMPED."""
        config = self._config
        rows, lanes = config.rows, config.vector_lanes
        values = data.ArrayLayout(data.ArrayLayout(signed(32), lanes), rows)
        m.submodules.requantiser = requantiser = Requantiser(
            rows=rows, lanes=lanes, multiplier_bits=config.multiplier_bits
        )
        biased = Signal(values, reset_less=True)
        residual = self._residual(m, pipe, values)
        summed = Signal(values, reset_less=True)
        clamped = Signal(values, reset_less=True)
        scale = data.View(data.ArrayLayout(ScaleEntry(), lanes), self.scale_read.data[0])
        m.d.comb += [
            requantiser.valid.eq(pipe[_BIASED].result),
            requantiser.enable.eq(pipe[_BIASED].scale_enable),
            requantiser.value.eq(biased),
            requantiser.scale.eq(scale),
        ]
        at_reduced, at_scaled, at_residual = pipe[_REDUCED], pipe[_SCALED], pipe[_RESIDUAL]
        for row in range(rows):
            for lane in range(lanes):
                bias = self.bias_read.data[0].word_select(lane, 32)
                with m.If(at_reduced.result):
                    m.d.sync += biased[row][lane].eq(results[row][lane] + Mux(at_reduced.bias_enable, bias, 0))
                addend = Mux(at_scaled.residual, residual[row][lane], 0)
                with m.If(at_scaled.result):
                    m.d.sync += summed[row][lane].eq(requantiser.result[row][lane] + addend)
                with m.If(at_residual.result):
                    m.d.sync += clamped[row][lane].eq(_clamp(summed[row][lane], at_residual))
        return clamped

    def _residual(self, m: Module, pipe: list[Any], values: Any) -> Any:
        """Operand B of a result's last step waits here until the value it is added to has been scaled."""
        config = self._config
        arrived, wanted = pipe[READ_LATENCY], pipe[_SCALED]
        waiting = Signal(values)
        for row in range(config.rows):
            for lane in range(config.vector_lanes):
                act = self.b_act.data[row].word_select(lane, 8).as_signed()
                acc = self.b_acc.data[row].word_select(lane, 32).as_signed()
                m.d.comb += waiting[row][lane].eq(Mux(arrived.b_memory == Memory.ACC, acc, act))
        m.submodules.residuals = residuals = fifo.SyncFIFOBuffered(width=values.size, depth=_SCALED)
        m.d.comb += [
            residuals.w_data.eq(waiting),
            residuals.w_en.eq(arrived.result & arrived.residual),
            residuals.r_en.eq(wanted.result & wanted.residual),
        ]
        return data.View(values, residuals.r_data)

    def _write(self, m: Module, pipe: list[Any], clamped: Any, window: VectorWindow, sequencer: Sequencer) -> None:
        """Look bytes up where asked, and queue results for their memories in order."""
        config = self._config
        rows, lanes = config.rows, config.vector_lanes
        start, looked_up = pipe[_CLAMPED], pipe[_WRITTEN]
        delayed = [clamped]
        for n in range(READ_LATENCY):
            later = Signal.like(clamped, name=f"clamped{n}", reset_less=True)
            with m.If(pipe[_CLAMPED + n].result):
                m.d.sync += later.eq(delayed[-1])
            delayed.append(later)
        m.submodules.results = results = fifo.SyncFIFOBuffered(width=32 * rows * lanes, depth=_WRITTEN + 6)
        outgoing = Signal(clamped.shape())
        m.d.comb += self.table_enable.eq(start.result & start.table_enable)
        for row in range(rows):
            for lane in range(lanes):
                n = row * lanes + lane
                flipped_sign = clamped[row][lane].as_unsigned()[:8] ^ 0x80
                m.d.comb += self.table_address[n].eq(Cat(flipped_sign, start.table[: log2(config.tables)]))
                m.d.comb += outgoing[row][lane].eq(
                    Mux(looked_up.table_enable, self.table_entry[n], delayed[-1][row][lane])
                )
        m.d.comb += [results.w_data.eq(outgoing), results.w_en.eq(looked_up.result)]
        oldest, act, acc = window.oldest, self.act_write.request, self.acc_write.request
        stored = data.View(clamped.shape(), results.r_data)
        to_acc = oldest.memory == Memory.ACC
        m.d.comb += [
            act.valid.eq(results.r_rdy & ~to_acc),
            acc.valid.eq(results.r_rdy & to_acc),
            window.release.eq(results.r_rdy & Mux(to_acc, acc.ready, act.ready)),
            results.r_en.eq(window.release),
            sequencer.complete.eq(window.release & oldest.last),
        ]
        for request in (act, acc):
            m.d.comb += [request.p.address.eq(oldest.address), request.p.rows.eq(oldest.rows)]
        for row in range(rows):
            m.d.comb += acc.p.data[row].eq(stored[row].as_value())
            m.d.comb += act.p.data[row].eq(Cat(stored[row][lane].as_unsigned()[:8] for lane in range(lanes)))


def _clamp(value: Any, flags: Any) -> Any:
    shifted = value + flags.zero_point
    low = Mux(shifted > flags.minimum, shifted, flags.minimum)
    return Mux(flags.dst_memory == Memory.ACC, value, Mux(low < flags.maximum, low, flags.maximum))
