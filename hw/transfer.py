"""What LOAD and STORE share: tokens, the walk through DRAM, and the walk through the on-chip memory."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.table import SEGMENTS, Memory, Opcode
from .bursts import Burst, Run, RunSplitter
from .nest import nest_start
from .queue import Queue
from .runs import RunWalker
from .sequencer import Sequencer
from .signatures import SegmentTable, engine_members, log2
from .steps import CellNest, CellSteps, Step

__all__ = ["Transfer"]

_NESTS_AHEAD = 8
_BURSTS_AHEAD = 4
_SLICE = 2


class Transfer(Component):
    """Turns instructions into bursts and, running behind, into the steps that belong to them.

    Parameters
    ----------
    opcode
        LOAD or STORE.
    memories
        Those that `opcode` may name.

    Members
    -------
    instruction, tokens, pending, oldest, started, started_index, retired, retired_index
        See :func:`engine_members`.
    halt
        While 1 no instruction is started and no burst comes out.
    segments
        The fence.
    burst
        What to ask of DRAM, in order.
    step
        Where each piece goes on chip, in the same order. A run's steps come after its first burst.
    complete
        A pulse when the oldest incomplete instruction's last write has happened.
    moving
        An instruction that takes part in transfers is incomplete.
    waiting
        See :class:`Sequencer`.
    fault
        A run that its segment does not allow; nothing of it, nor of what follows, comes out as a burst.
    """

    def __init__(self, config: Config, opcode: Opcode, memories: tuple[Memory, ...]) -> None:
        self._config, self._opcode, self._memories = config, opcode, memories
        members = engine_members(opcode)
        del members["activity"]
        super().__init__(
            {
                **members,
                "segments": In(SegmentTable(config, SEGMENTS)),
                "burst": Out(stream.Signature(Burst(config))),
                "step": Out(stream.Signature(Step(config))),
                "complete": In(1),
                "moving": Out(1),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        m.submodules.sequencer = sequencer = Sequencer(self._opcode)
        m.submodules.runs = runs = RunWalker(config, self._opcode, self._memories)
        m.submodules.splitter = splitter = RunSplitter(config)
        m.submodules.nests = nests = Queue(CellNest(), depth=_NESTS_AHEAD)
        m.submodules.lanes = lanes = Queue(log2(config.bus_bytes), depth=config.reads_outstanding + 2 * _BURSTS_AHEAD)
        m.submodules.steps = steps = CellSteps(config, self._memories)
        # These queues also keep the ready of one side out of the other side's timing.
        m.submodules.run_slice = run_slice = Queue(Run(config), depth=_SLICE)
        m.submodules.step_slice = step_slice = Queue(Step(config), depth=_SLICE)
        m.submodules.bursts = bursts = Queue(Burst(config), depth=_BURSTS_AHEAD)
        connect(m, runs.run, run_slice.input)
        connect(m, run_slice.output, splitter.run)
        connect(m, nests.output, steps.nest)
        connect(m, lanes.output, steps.lane)
        connect(m, steps.step, step_slice.input)
        connect(m, step_slice.output, flipped(self.step))
        connect(m, splitter.segments, flipped(self.segments))
        connect(m, splitter.fault, flipped(self.fault))
        for name in ("instruction", "tokens"):
            connect(m, getattr(sequencer, name), flipped(getattr(self, name)))
        for name in ("pending", "oldest", "started", "started_index", "retired", "retired_index", "waiting"):
            m.d.comb += getattr(self, name).eq(getattr(sequencer, name))
        m.d.comb += [sequencer.halt.eq(self.halt), sequencer.complete.eq(self.complete)]
        self._begin(m, sequencer.nest, runs.instruction, nests.input)
        self._fork(m, splitter.burst, bursts.input, lanes.input)
        m.d.comb += [
            self.burst.valid.eq(bursts.output.valid & ~self.halt),
            self.burst.payload.eq(bursts.output.payload),
            bursts.output.ready.eq(self.burst.ready & ~self.halt),
        ]
        return m

    def _begin(self, m: Module, begun: Any, runs: Any, nests: Any) -> None:
        """Hands each instruction to both walks at once."""
        word, context = begun.p.word, nests.p.context
        rows = word.row_mask if self._opcode is Opcode.LOAD else word.row
        m.d.comb += [
            begun.ready.eq(runs.ready & nests.ready),
            runs.valid.eq(begun.valid & nests.ready),
            runs.payload.eq(begun.payload),
            nests.valid.eq(begun.valid & runs.ready),
            context.index.eq(begun.p.index),
            context.memory.eq(word.memory),
            context.row.eq(rows),
        ]
        nest_start(m, nests.payload, word, {"mem": "mem"})
        incomplete = Signal(range(2 * _NESTS_AHEAD + 1))
        m.d.sync += incomplete.eq(incomplete + (begun.valid & begun.ready) - self.complete)
        m.d.comb += self.moving.eq(incomplete.any())

    def _fork(self, m: Module, source: Any, bursts: Any, lanes: Any) -> None:
        """The lane of a run goes along with its first burst."""
        first = source.p.first
        m.d.comb += [
            bursts.valid.eq(source.valid & (lanes.ready | ~first)),
            bursts.payload.eq(source.payload),
            lanes.valid.eq(source.valid & first & bursts.ready),
            lanes.payload.eq(source.p.lane),
            source.ready.eq(bursts.ready & (lanes.ready | ~first)),
        ]
