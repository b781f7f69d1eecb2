"""The matrix engine: one activation row (of each of `rows`) times one weight tile in every cycle."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out, connect, flipped

from ..config import Config
from ..isa.table import GEMM_DIMS, Opcode
from .accumulate import FORWARDS
from .cells import ScratchpadShape
from .layout import instruction_layout
from .multiply import MultiplyAccumulate
from .nest import NestWalker, nest_start
from .scratchpad import ScratchpadReader, ScratchpadWriter
from .sequencer import Sequencer
from .signatures import READ_LATENCY, engine_members, log2

__all__ = ["GemmEngine"]

# Nothing keeps a write waiting, and who is started by its token reads three cycles after `complete` at the earliest.
_ANNOUNCED_EARLY = 2


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
            self.activity.busy.eq(walker.point.valid | self.pending | self.instruction.valid),
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
        """Delay each step's address and flags beside the arithmetic, then update its accumulator."""
        m.submodules.arithmetic = arithmetic = MultiplyAccumulate(self._config)
        m.d.comb += [arithmetic.act.eq(self.act_read.data), arithmetic.wgt.eq(self.wgt_read.data[0])]
        overwrite = (point.p.zero | ~point.p.context.overwrite_mask).all() & ~point.p.context.accumulate
        step = data.StructLayout({"valid": 1, "acc": log2(self._config.acc_depth), "overwrite": 1, "last": 1})
        depth = READ_LATENCY + arithmetic.latency
        pipe = [Signal(step, name=f"step{n}") for n in range(depth + 1 + FORWARDS)]
        m.d.comb += [
            pipe[0].valid.eq(issue),
            pipe[0].acc.eq(point.p.acc),
            pipe[0].overwrite.eq(overwrite),
            pipe[0].last.eq(point.p.last),
        ]
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        m.d.comb += arithmetic.valid.eq(pipe[READ_LATENCY].valid)
        ask = pipe[depth - READ_LATENCY]
        m.d.comb += [
            self.acc_read.request.valid.eq(ask.valid & ~ask.overwrite),
            self.acc_read.request.payload.eq(ask.acc),
        ]
        self._accumulate(m, arithmetic, pipe, depth)
        announced = pipe[depth + 1 - _ANNOUNCED_EARLY]
        m.d.comb += complete.eq(announced.valid & announced.last)
        return Cat(entry.valid for entry in pipe[1:]).any()

    def _accumulate(self, m: Module, arithmetic: MultiplyAccumulate, pipe: list[Any], depth: int) -> None:
        """Add to what was read, or to a younger result that the read was too early to see."""
        now, following = pipe[depth], pipe[depth - 1]
        forward = Signal(FORWARDS)
        for n in range(FORWARDS):
            older = pipe[depth + n]
            m.d.sync += forward[n].eq(older.valid & (older.acc == following.acc))
        m.d.comb += [
            arithmetic.update.eq(Cat(pipe[depth + n].valid for n in range(FORWARDS))),
            arithmetic.overwrite.eq(now.overwrite),
            arithmetic.forward.eq(forward),
            arithmetic.stored.eq(self.acc_read.data),
        ]
        write = self.acc_write.request
        m.d.comb += [
            write.valid.eq(pipe[depth + 1].valid),
            write.p.address.eq(pipe[depth + 1].acc),
            write.p.rows.eq(~0),
            write.p.data.eq(arithmetic.result),
        ]
