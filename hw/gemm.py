"""The matrix engine: one activation row (of each of `rows`) times one weight tile in every cycle."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out, connect, flipped

from ..config import Config
from ..isa.table import GEMM_DIMS, Opcode
from .accumulate import FORWARDS
from .cells import ScratchpadShape
from .layout import instruction_layout
from .multiply import MultiplyAccumulate
from .nest import NestWalker, nest_start
from .scratchpad import ScratchpadReader, ScratchpadWriter, one_bank
from .sequencer import Sequencer
from .signatures import READ_LATENCY, engine_members, log2

__all__ = ["GemmEngine"]

# Nothing keeps a write waiting, and who is started by its token reads four cycles after `complete` at the earliest.
_ANNOUNCED_EARLY = 3


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
    coming_act, coming_acc
        The banks from which it reads in the next cycle, a bit for each.
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
                "coming_act": Out(config.act_banks),
                "coming_acc": Out(config.acc_banks),
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
        nest_start(m, walker.start.payload, sequencer.nest.payload, {name: name for name in addresses})
        m.d.comb += [
            sequencer.halt.eq(self.halt),
            walker.start.valid.eq(sequencer.nest.valid),
            sequencer.nest.ready.eq(walker.start.ready),
            walker.start.p.context.accumulate.eq(word.accumulate),
            walker.start.p.context.overwrite_mask.eq(word.overwrite_mask),
        ]
        in_flight = self._datapath(m, self._issue(m, walker.point), sequencer.complete)
        m.d.comb += [
            self.awake.eq(sequencer.awake | self.pending | walker.point.valid | in_flight),
            self.activity.busy.eq(walker.point.valid | self.pending | self.instruction.valid),
            self.activity.token.eq(sequencer.waiting & ~walker.point.valid),
            self.activity.progress.eq((walker.point.valid & ~self.halt) | sequencer.started | sequencer.retired),
        ]
        return m

    def _issue(self, m: Module, point: Any) -> Any:
        """A point goes in every cycle, and asks for its operands in the next: so others know its bank beforehand."""
        going, act, wgt = Signal(), self.act_read.request, self.wgt_read.request
        layout = data.StructLayout({"valid": 1, "acc": log2(self._config.acc_depth), "overwrite": 1, "last": 1})
        step = Signal(layout, name="step0")
        asked = point.p.act[log2(self._config.block_in // self._config.granule) :]
        m.d.comb += [
            going.eq(point.valid & ~self.halt),
            point.ready.eq(~self.halt),
            self.coming_act.eq(Mux(going, one_bank(asked, self._config.act_banks), 0)),
            act.valid.eq(step.valid),
            wgt.valid.eq(step.valid),
        ]
        m.d.sync += [
            act.payload.eq(asked),
            wgt.payload.eq(point.p.wgt),
            step.valid.eq(going),
            step.acc.eq(point.p.acc),
            step.overwrite.eq((point.p.zero | ~point.p.context.overwrite_mask).all() & ~point.p.context.accumulate),
            step.last.eq(point.p.last),
        ]
        return step

    def _datapath(self, m: Module, step: Any, complete: Signal) -> Any:
        """Delay each step's address and flags beside the arithmetic, then update its accumulator."""
        m.submodules.arithmetic = arithmetic = MultiplyAccumulate(self._config)
        m.d.comb += [arithmetic.act.eq(self.act_read.data), arithmetic.wgt.eq(self.wgt_read.data[0])]
        depth = READ_LATENCY + arithmetic.latency
        pipe = [step, *(Signal(step.shape(), name=f"step{n}") for n in range(1, depth + 1 + FORWARDS))]
        for before, after in pairwise(pipe):
            m.d.sync += after.eq(before)
        m.d.comb += arithmetic.valid.eq(pipe[READ_LATENCY].valid)
        coming, ask = pipe[depth - READ_LATENCY - 1], pipe[depth - READ_LATENCY]
        m.d.comb += [
            self.acc_read.request.valid.eq(ask.valid & ~ask.overwrite),
            self.acc_read.request.payload.eq(ask.acc),
            self.coming_acc.eq(Mux(coming.valid & ~coming.overwrite, one_bank(coming.acc, self._config.acc_banks), 0)),
        ]
        self._accumulate(m, arithmetic, pipe, depth)
        announced = pipe[depth + 1 - _ANNOUNCED_EARLY]
        m.d.comb += complete.eq(announced.valid & announced.last)
        return Cat(entry.valid for entry in pipe).any()

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
