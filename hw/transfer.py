"""What LOAD and STORE share: tokens, the walk through DRAM, and the walk through the on-chip memory."""

from typing import Any

from amaranth import Cat, DomainRenamer, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.table import SEGMENTS, ErrorCode, Memory, Opcode
from .bursts import Burst, RunSplitter
from .layout import INDEX_BITS
from .nest import nest_start
from .queue import Queue
from .runs import RunWalker
from .sequencer import Sequencer
from .signatures import SegmentTable, engine_members, log2
from .steps import CellNest, CellSteps, Step

__all__ = ["Transfer"]

_NESTS_AHEAD = 8
_BURSTS_AHEAD = 4
_STEPS_AHEAD = 2


class Transfer(Component):
    """Turns instructions into bursts and, running behind, into the steps that belong to them.

    Parameters
    ----------
    opcode
        LOAD or STORE.
    memories
        Those that `opcode` may name.
    ahead
        The clock domain of what runs ahead of the data: it works once for each burst, the rest for each beat.

    Members
    -------
    engine members
        See :func:`engine_members`. After a fault the engine is stopped until it is reset.
    segments
        The fence. Of a run that it does not allow, nothing comes out as a burst, nor of what follows.
    burst
        What to ask of DRAM, in order.
    step
        Where each piece goes on chip, in the same order. A run's steps come after its first burst.
    complete
        A pulse when the oldest incomplete instruction's last write has happened.
    failed, failed_index
        A pulse when the bus reported an error, and the instruction that it hit.
    moved, blocked
        Data moved in this cycle; an on-chip bank made them wait.
    dead
        Halted or stopped: nothing new may begin.
    ahead_awake
        As `awake`, of the domain `ahead`.
    """

    def __init__(self, config: Config, opcode: Opcode, memories: tuple[Memory, ...], *, ahead: str = "sync") -> None:
        self._config, self._opcode, self._memories, self._ahead = config, opcode, memories, ahead
        super().__init__(
            {
                **engine_members(opcode),
                "segments": In(SegmentTable(config, SEGMENTS)),
                "burst": Out(stream.Signature(Burst(config))),
                "step": Out(stream.Signature(Step(config))),
                "complete": In(1),
                "failed": In(1),
                "failed_index": In(INDEX_BITS),
                "moved": In(1),
                "blocked": In(1),
                "dead": Out(1),
                "ahead_awake": Out(1),
            }
        )

    def serve(self, m: Module, engine: Any) -> None:
        """Make this component's engine members, `segments` and `ahead_awake` those of the `engine` that contains it."""
        for name, member in (*engine_members(self._opcode).items(), ("segments", None), ("ahead_awake", Out(1))):
            mine, outer = getattr(self, name), getattr(engine, name)
            if member is None or member.is_signature:
                connect(m, mine, flipped(outer))
            elif member.flow is Out:
                m.d.comb += outer.eq(mine)
            else:
                m.d.comb += mine.eq(outer)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self._config
        ahead = DomainRenamer(self._ahead)
        sequencer, splitter = Sequencer(self._opcode), RunSplitter(config)
        runs = RunWalker(config, self._opcode, self._memories)
        m.submodules.sequencer, m.submodules.runs, m.submodules.splitter = (
            ahead(sequencer),
            ahead(runs),
            ahead(splitter),
        )
        m.submodules.nests = nests = Queue(CellNest(), depth=_NESTS_AHEAD)
        m.submodules.lanes = lanes = Queue(log2(config.bus_bytes), depth=config.reads_outstanding + 2 * _BURSTS_AHEAD)
        m.submodules.steps = steps = CellSteps(config, self._memories)
        # These queues, and one in the splitter, also keep the ready of one side out of the other side's timing.
        m.submodules.step_slice = step_slice = Queue(Step(config), depth=_STEPS_AHEAD)
        m.submodules.bursts = bursts = Queue(Burst(config), depth=_BURSTS_AHEAD)
        connect(m, runs.run, splitter.run)
        connect(m, nests.output, steps.nest)
        connect(m, lanes.output, steps.lane)
        connect(m, steps.step, step_slice.input)
        connect(m, step_slice.output, flipped(self.step))
        connect(m, splitter.segments, flipped(self.segments))
        for name in ("instruction", "tokens"):
            connect(m, getattr(sequencer, name), flipped(getattr(self, name)))
        for name in ("pending", "oldest", "started", "started_index", "retired", "retired_index"):
            m.d.comb += getattr(self, name).eq(getattr(sequencer, name))
        m.d.comb += [sequencer.halt.eq(self.dead), sequencer.complete.eq(self.complete)]
        moving = self._begin(m, sequencer.nest, runs.instruction, nests.input)
        self._fork(m, splitter.burst, bursts.input, lanes.input)
        m.d.comb += [
            self.burst.valid.eq(bursts.output.valid & ~self.dead),
            self.burst.payload.eq(bursts.output.payload),
            bursts.output.ready.eq(self.burst.ready & ~self.dead),
        ]
        self._stop(m, splitter.fault)
        self._report(m, moving, sequencer.waiting, nests.awake)
        m.d.comb += self.ahead_awake.eq(sequencer.awake | runs.awake | splitter.awake)
        return m

    def _begin(self, m: Module, begun: Any, runs: Any, nests: Any) -> Signal:
        """Hands each instruction to both walks at once; the result tells whether one of them is incomplete."""
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
        nest_start(m, nests.payload, begun.payload, {"mem": "mem"})
        incomplete = Signal(range(2 * _NESTS_AHEAD + 1))
        m.d.sync += incomplete.eq(incomplete + (begun.valid & begun.ready) - self.complete)
        moving = Signal()
        m.d.comb += moving.eq(incomplete.any())
        return moving

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

    def _stop(self, m: Module, refused: Any) -> None:
        """The first fault is the only one; a bus error comes before what younger instructions did wrong."""
        stopped = Signal()
        bus_error = ErrorCode.BUS_READ if self._opcode is Opcode.LOAD else ErrorCode.BUS_WRITE
        m.d.sync += stopped.eq(stopped | self.fault.valid)
        m.d.comb += [
            self.dead.eq(stopped | self.halt),
            self.fault.valid.eq((self.failed | refused.valid) & ~self.dead),
            self.fault.code.eq(Mux(self.failed, bus_error, refused.code)),
            self.fault.index.eq(Mux(self.failed, self.failed_index, refused.index)),
        ]

    def _report(self, m: Module, moving: Any, waiting: Any, begins: Any) -> None:
        activity, asked, following = self.activity, Signal(), Signal(5)
        shown = Cat(activity.busy, activity.bank, activity.memory, activity.token, activity.progress)
        m.d.comb += [
            asked.eq(self.burst.valid & self.burst.ready),
            following.eq(
                Cat(
                    self.pending | self.instruction.valid,
                    self.blocked & ~self.moved,
                    moving & ~self.moved & ~self.blocked,
                    waiting & ~moving,
                    self.moved | asked | self.started | self.retired,
                )
            ),
            self.awake.eq(begins | moving | self.fault.valid | (following != shown)),
        ]
        m.d.sync += shown.eq(following)
