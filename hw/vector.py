"""The vector engine: reduce, combine, requantise and write, one vector of lanes a cycle."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out, connect, flipped

from ..config import Config
from ..isa.table import VECTOR_DIMS, Function, Memory, Opcode
from .cells import ScratchpadShape
from .nest import nest_start
from .nest_ahead import AheadWalker
from .scratchpad import ScratchpadReader, ScratchpadWriter
from .sequencer import Sequencer
from .signatures import engine_members, log2
from .vector_datapath import ASK_BIAS, ASK_SCALE, FLAGS, RESULTS, VectorDatapath, VectorStep, table_members
from .vector_window import VectorWindow

__all__ = ["VectorEngine"]


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
        written = data.StructLayout({"memory": 1, "address": self._unit_bits, "rows": config.rows, "last": 1})
        m.submodules.window = window = VectorWindow(
            place_bits=1 + self._cell_bits + log2(self._beats), written=written, depth=RESULTS
        )
        issue, step = self._issue(m, walker, window)
        path = self._connect(m, step, self._pipe(m, walker.point, step.result))
        self._write(m, path, window, sequencer)
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

    def _walker(self, m: Module, sequencer: Sequencer) -> AheadWalker:
        """The nest, with a pass over all of it for each group of lanes as the outermost loop."""
        config = self._config
        context = data.StructLayout({**FLAGS, "reduced": VECTOR_DIMS, "row_mask": config.rows})
        operands = {"a": self._cell_bits, "b": self._cell_bits, "dst": self._cell_bits}
        channels = {"bias": log2(config.bias_depth), "scale": log2(config.scale_depth)}
        passes = {"beat": log2(self._beats)} if self._beats > 1 else {}
        dims = VECTOR_DIMS + len(passes)
        m.submodules.walker = walker = AheadWalker(
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
        for name in FLAGS:
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

    def _place(self, point: Any, operand: str) -> Any:
        """The same for every address of one unit: what does not count in the memory's addresses is 0."""
        config = self._config
        memory, beat = point.context[f"{operand}_memory"], [point.beat] if self._beats > 1 else []
        units = config.block_out // config.granule
        address = Mux(
            memory == Memory.ACC,
            point[operand] & (config.acc_depth - 1),
            point[operand] & (config.act_depth - units),
        )
        return Cat(*beat, address[: self._cell_bits], memory)

    def _prepare(self, m: Module, walker: AheadWalker, window: VectorWindow, a_now: Signal) -> Any:
        """Registers with what the present step does and needs: found out while the step before it is there."""
        coming, flags = walker.upcoming, walker.upcoming.context
        first = (coming.zero[-VECTOR_DIMS:] | ~flags.reduced).all()
        last = (coming.end[-VECTOR_DIMS:] | ~flags.reduced).all()
        needs = Signal(data.StructLayout({"first": 1, "last": 1, "a": 1, "b": 1}))
        m.d.comb += [
            window.move.eq(walker.moves),
            window.next_a.eq(self._place(coming, "a")),
            window.next_b.eq(self._place(coming, "b")),
        ]
        with m.If(walker.moves):
            m.d.sync += [
                needs.first.eq(first),
                needs.last.eq(last),
                needs.a.eq(flags.function != Function.ZERO),
                needs.b.eq((flags.function == Function.MAC) | (flags.residual & last)),
            ]
        with m.Elif(a_now):
            m.d.sync += needs.a.eq(0)
        return needs

    def _issue(self, m: Module, walker: AheadWalker, window: VectorWindow) -> tuple[Signal, Any]:
        """Ask for operands; a step goes on when it has all of them.

        Operand B is asked for with A or after it: where both lie in one bank, A comes first and is held.
        """
        point = walker.point
        flags = point.p.context
        may, a_ask, b_ask = Signal(), Signal(), Signal()
        a_now, a_have, a_can, b_can, issue = Signal(), Signal(), Signal(), Signal(), Signal()
        needs = self._prepare(m, walker, window, a_now)
        m.d.comb += [
            may.eq(point.valid & window.room & ~self.halt),
            a_ask.eq(may & needs.a & ~window.hit_a),
            a_have.eq(~needs.a | a_can),
            b_ask.eq(may & needs.b & ~window.hit_b & a_have),
            issue.eq(may & a_have & (~needs.b | b_can)),
            point.ready.eq(issue),
        ]
        a_served = self._ask(m, "a", flags.a_memory, self._unit(m, point, "a", flags.a_memory), a_ask)
        b_served = self._ask(m, "b", flags.b_memory, self._unit(m, point, "b", flags.b_memory), b_ask)
        m.d.comb += [
            a_now.eq(a_ask & a_served),
            a_can.eq(~window.hit_a & a_served),
            b_can.eq(~window.hit_b & b_served),
        ]
        m.d.comb += [
            window.claim.eq(issue & needs.last),
            window.place.eq(self._place(point.p, "dst")),
            window.claimed.memory.eq(flags.dst_memory),
            window.claimed.address.eq(self._unit(m, point, "dst", flags.dst_memory)),
            window.claimed.rows.eq(flags.row_mask),
            window.claimed.last.eq(point.p.last),
        ]
        step = Signal(VectorStep())
        marks = {"a_fresh": a_now, "step": issue, "first": needs.first, "result": window.claim}
        m.d.comb += [step[name].eq(value) for name, value in marks.items()]
        m.d.comb += [step[name].eq(flags[name]) for name in FLAGS]
        return issue, step

    def _ask(self, m: Module, operand: str, memory: Any, unit: Any, ask: Any) -> Any:
        """The result tells whether an operand that is asked for is granted."""
        act, acc = getattr(self, f"{operand}_act").request, getattr(self, f"{operand}_acc").request
        m.d.comb += [
            act.valid.eq(ask & (memory == Memory.ACT)),
            act.payload.eq(unit),
            acc.valid.eq(ask & (memory == Memory.ACC)),
            acc.payload.eq(unit),
        ]
        return Mux(memory == Memory.ACC, acc.ready, act.ready)

    def _pipe(self, m: Module, point: Any, result: Any) -> list[Any]:
        """What a result's bias and scale are asked for by, until they are."""
        config = self._config
        beat = [point.p.beat] if self._beats > 1 else []
        layout = data.StructLayout(
            {
                "result": 1,
                "bias": log2(config.bias_depth) + log2(self._beats),
                "scale": log2(config.scale_depth) + log2(self._beats),
            }
        )
        pipe = [Signal(layout, name=f"pipe{n}") for n in range(max(ASK_BIAS, ASK_SCALE) + 1)]
        m.d.comb += [
            pipe[0].result.eq(result),
            pipe[0].bias.eq(Cat(*beat, point.p.bias)),
            pipe[0].scale.eq(Cat(*beat, point.p.scale)),
        ]
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        return pipe

    def _connect(self, m: Module, step: Any, pipe: list[Any]) -> VectorDatapath:
        """The data path between the memories' answers and the results."""
        m.submodules.datapath = path = VectorDatapath(self._config)
        ask_bias, ask_scale = pipe[ASK_BIAS], pipe[ASK_SCALE]
        m.d.comb += [
            path.step.eq(step),
            self.bias_read.request.valid.eq(ask_bias.result),
            self.bias_read.request.payload.eq(ask_bias.bias),
            self.scale_read.request.valid.eq(ask_scale.result),
            self.scale_read.request.payload.eq(ask_scale.scale),
            path.bias.eq(self.bias_read.data[0]),
            path.scale.eq(self.scale_read.data[0]),
            path.table_entry.eq(self.table_entry),
            self.table_enable.eq(path.table_enable),
            self.table_address.eq(path.table_address),
        ]
        for name in ("a_act", "a_acc", "b_act", "b_acc"):
            m.d.comb += getattr(path, name).eq(getattr(self, name).data)
        return path

    def _write(self, m: Module, path: VectorDatapath, window: VectorWindow, sequencer: Sequencer) -> None:
        """Results go to their memories in order."""
        oldest, act, acc = window.oldest, self.act_write.request, self.acc_write.request
        to_acc = oldest.memory == Memory.ACC
        m.d.comb += [
            act.valid.eq(path.ready & ~to_acc),
            acc.valid.eq(path.ready & to_acc),
            window.release.eq(path.ready & Mux(to_acc, acc.ready, act.ready)),
            path.take.eq(window.release),
            sequencer.complete.eq(window.release & oldest.last),
        ]
        for request in (act, acc):
            m.d.comb += [request.p.address.eq(oldest.address), request.p.rows.eq(oldest.rows)]
        for row, values in enumerate(path.result):
            m.d.comb += acc.p.data[row].eq(values.as_value())
            m.d.comb += act.p.data[row].eq(Cat(value.as_unsigned()[:8] for value in values))
