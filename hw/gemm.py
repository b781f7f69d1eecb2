"""The matrix engine: one activation row (of each of `rows`) times one weight tile in every cycle."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out, connect, flipped

from ..config import Config
from ..isa.table import GEMM_DIMS, Opcode
from .array import MultiplierArray
from .layout import instruction_layout
from .nest import NestWalker, nest_start
from .scratchpad import ScratchpadReader, ScratchpadShape, ScratchpadWriter
from .sequencer import Sequencer
from .signatures import READ_LATENCY, engine_members, log2

__all__ = ["GemmEngine"]

_FORWARDS = 3


class GemmEngine(Component):
    """Initiation interval 1, no gap between nests, consecutive updates of one accumulator included.

    Parameters
    ----------
    act, wgt, acc
        Shapes of the scratchpads it works on.

    Members
    -------
    act_read, wgt_read, acc_read, acc_write
        Its clients' ends of the scratchpads. It counts on being served first.
    """

    def __init__(self, config: Config, *, act: ScratchpadShape, wgt: ScratchpadShape, acc: ScratchpadShape) -> None:
        self._config, self._acc = config, acc
        cell = 4 * config.block_out
        super().__init__(
            {
                **engine_members(Opcode.GEMM),
                "act_read": Out(ScratchpadReader(act, config.block_in)),
                "wgt_read": Out(ScratchpadReader(wgt, config.block_in * config.block_out)),
                "acc_read": Out(ScratchpadReader(acc, cell)),
                "acc_write": Out(ScratchpadWriter(acc, cell)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(Opcode.GEMM)
        context = data.StructLayout({"accumulate": 1, "overwrite_mask": GEMM_DIMS})
        addresses = {"act": log2(config.act_depth), "wgt": log2(config.wgt_depth), "acc": log2(config.acc_depth)}
        m.submodules.walker = walker = NestWalker(dims=GEMM_DIMS, bound_bits=16, operands=addresses, context=context)
        for name in ("instruction", "tokens"):
            connect(m, getattr(sequencer, name), flipped(getattr(self, name)))
        for name in ("pending", "oldest", "started", "started_index", "retired", "retired_index"):
            m.d.comb += getattr(self, name).eq(getattr(sequencer, name))
        word = sequencer.nest.payload.word
        assert word.shape() == instruction_layout(Opcode.GEMM)
        nest_start(m, walker.start.payload, word, {name: name for name in addresses})
        m.d.comb += [
            sequencer.halt.eq(self.halt),
            walker.start.valid.eq(sequencer.nest.valid),
            sequencer.nest.ready.eq(walker.start.ready),
            walker.start.p.context.accumulate.eq(word.accumulate),
            walker.start.p.context.overwrite_mask.eq(word.overwrite_mask),
        ]
        issue = self._issue(m, walker.point)
        in_flight = self._datapath(m, walker.point, issue, sequencer.complete)
        m.d.comb += [
            self.awake.eq(sequencer.awake | walker.point.valid | in_flight),
            self.activity.busy.eq(walker.point.valid | in_flight | self.pending | self.instruction.valid),
            self.activity.token.eq(sequencer.waiting & ~walker.point.valid),
            self.activity.bank.eq(walker.point.valid & ~issue & ~self.halt),
            self.activity.progress.eq(issue | sequencer.started | sequencer.retired),
        ]
        return m

    def _issue(self, m: Module, point: Any) -> Signal:
        """A point goes when its activations can be read; the other memories never keep it waiting."""
        issue = Signal()
        act = point.p.act
        m.d.comb += [
            self.act_read.request.valid.eq(point.valid & ~self.halt),
            self.act_read.request.payload.eq(act[log2(self._config.block_in // self._config.granule) :]),
            issue.eq(self.act_read.request.valid & self.act_read.request.ready),
            self.wgt_read.request.valid.eq(issue),
            self.wgt_read.request.payload.eq(point.p.wgt),
            point.ready.eq(issue),
        ]
        return issue

    def _datapath(self, m: Module, point: Any, issue: Signal, complete: Signal) -> Any:
        """Delay each step's address and flags beside the array, then update its accumulator."""
        m.submodules.array = array = MultiplierArray(self._config)
        m.d.comb += [array.act.eq(self.act_read.data), array.wgt.eq(self.wgt_read.data[0])]
        overwrite = (point.p.zero | ~point.p.context.overwrite_mask).all() & ~point.p.context.accumulate
        step = data.StructLayout({"valid": 1, "acc": log2(self._config.acc_depth), "overwrite": 1, "last": 1})
        depth = READ_LATENCY + array.latency
        pipe = [Signal(step, name=f"step{n}") for n in range(depth + 1 + _FORWARDS)]
        m.d.comb += [
            pipe[0].valid.eq(issue),
            pipe[0].acc.eq(point.p.acc),
            pipe[0].overwrite.eq(overwrite),
            pipe[0].last.eq(point.p.last),
        ]
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        m.d.comb += array.valid.eq(pipe[READ_LATENCY].valid)
        ask = pipe[depth - READ_LATENCY]
        m.d.comb += [
            self.acc_read.request.valid.eq(ask.valid & ~ask.overwrite),
            self.acc_read.request.payload.eq(ask.acc),
        ]
        self._accumulate(m, array, pipe, depth)
        m.d.comb += complete.eq(pipe[depth + 1].valid & pipe[depth + 1].last)
        return Cat(entry.valid for entry in pipe[1:]).any()

    def _accumulate(self, m: Module, array: MultiplierArray, pipe: list[Any], depth: int) -> None:
        """Add to what was read, or to a younger result that the read was too early to see."""
        config = self._config
        now, following = pipe[depth], pipe[depth - 1]
        cell_bits = 32 * config.block_out
        results = [
            Signal(data.ArrayLayout(cell_bits, config.rows), name=f"result{n}", reset_less=True)
            for n in range(_FORWARDS)
        ]
        forward = Signal(_FORWARDS)
        for n in range(_FORWARDS):
            older = pipe[depth + n]
            m.d.sync += forward[n].eq(older.valid & (older.acc == following.acc))
        with m.If(now.valid):
            m.d.sync += results[0].eq(self._updated(m, array, now.overwrite, forward, results))
        with m.If(pipe[depth + 1].valid):
            m.d.sync += results[1].eq(results[0])
        with m.If(pipe[depth + 2].valid):
            m.d.sync += results[2].eq(results[1])
        write = self.acc_write.request
        m.d.comb += [
            write.valid.eq(pipe[depth + 1].valid),
            write.p.address.eq(pipe[depth + 1].acc),
            write.p.rows.eq(~0),
            write.p.data.eq(results[0]),
        ]

    def _updated(self, m: Module, array: Any, overwrite: Any, forward: Signal, results: list[Any]) -> Any:
        config = self._config
        updated = Signal(data.ArrayLayout(32 * config.block_out, config.rows), name="updated")
        for row in range(config.rows):
            old = Signal(32 * config.block_out, name=f"old{row}")
            with m.If(overwrite):
                m.d.comb += old.eq(0)
            for n in range(_FORWARDS):
                with m.Elif(forward[n]):
                    m.d.comb += old.eq(results[n][row])
            with m.Else():
                m.d.comb += old.eq(self.acc_read.data[row])
            m.d.comb += updated[row].eq(
                Cat((old.word_select(o, 32) + array.sums[row][o])[:32] for o in range(config.block_out))
            )
        return updated
