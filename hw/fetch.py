"""The instruction fetch: reads the program, refuses what is illegal, and fills the engines' queues."""

from typing import Any

from amaranth import Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, enum, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from ..config import Config
from ..isa.table import ENGINES, INSTRUCTION_BITS, ErrorCode, Opcode
from .layout import INDEX_BITS, instruction_layout, queued
from .legality import Legality
from .prefetch import Prefetcher
from .queue import Queue
from .signatures import Fault, ReadPort

__all__ = ["Fetch"]

_QUEUES = tuple(engine.name.lower() for engine in ENGINES)


class _State(enum.Enum):
    IDLE = 0
    RUN = 1
    FINISH = 2
    DRAIN = 3


class Fetch(Component):
    """Runs one program after each `start`; hands instructions on as fast as the bus brings them.

    Members
    -------
    start
        A pulse while not `active`; `base` (a multiple of 64) and `count` say which instructions.
    halt
        While 1 nothing is fetched or handed on; what is on the bus is swallowed.
    engines_idle
        All queues are empty and all engines idle. Must be 0 from the cycle after a queue accepted an instruction.
    load, gemm, vector, store
        To the engines' queues.
    finished
        A pulse: the program reached its FINISH, and everything before has retired.
    fault
        ILLEGAL_INSTRUCTION, BUS_READ or PROGRAM_END, and the end of fetching.
    active
        From `start` until nothing is left to do.
    index
        The instruction that is handed on next.
    dispatched
        A pulse for each that was handed on.
    awake
        Something here may change at the next edge.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(config.address_bits),
                "count": In(32),
                "halt": In(1),
                "engines_idle": In(1),
                "port": Out(ReadPort(config)),
                **{name: Out(stream.Signature(queued(Opcode[name.upper()]))) for name in _QUEUES},
                "finished": Out(1),
                "fault": Out(Fault()),
                "active": Out(1),
                "index": Out(INDEX_BITS),
                "dispatched": Out(1),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.prefetcher = prefetcher = Prefetcher(self._config)
        connect(m, prefetcher.port, flipped(self.port))
        m.d.comb += [prefetcher.base.eq(self.base), prefetcher.count.eq(self.count)]
        assembled = self._assemble(m, prefetcher.beat)
        checked, judging = self._check(m, assembled)
        turns = Signal()
        self._dispatch(m, checked, self._control(m, prefetcher, checked, turns))
        was_active = Signal()
        m.d.sync += was_active.eq(self.active)
        moves = prefetcher.awake | (assembled.valid & assembled.ready) | judging | self.dispatched
        m.d.comb += self.awake.eq(moves | turns | (self.active != was_active))
        return m

    def _assemble(self, m: Module, beat: Any) -> Any:
        """Instructions from bus words."""
        bits = self._config.bus_bits
        beats = INSTRUCTION_BITS // bits
        layout = data.StructLayout({"word": INSTRUCTION_BITS, "error": 1})
        out = stream.Signature(layout).create(path=("assembled",))
        if beats == 1:
            m.d.comb += [out.valid.eq(beat.valid), beat.ready.eq(out.ready)]
            m.d.comb += [out.p.word.eq(beat.p.data), out.p.error.eq(beat.p.error)]
            return out
        assembled = Signal(layout, name="assembled_q", reset_less=True)
        position = Signal(range(beats))
        take = Signal(name="beat_take")
        m.d.comb += [
            out.payload.eq(assembled),
            beat.ready.eq(~out.valid | out.ready),
            take.eq(beat.valid & beat.ready),
        ]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(take):
            m.d.sync += [
                assembled.word.eq(Cat(assembled.word[bits:], beat.p.data)),
                assembled.error.eq(beat.p.error | (assembled.error & position.any())),
                position.eq(position + 1),
                out.valid.eq(position == beats - 1),
            ]
        with m.If(~self.active):
            m.d.sync += [position.eq(0), out.valid.eq(0)]
        return out

    def _check(self, m: Module, assembled: Any) -> tuple[Any, Signal]:
        """Two register stages that find out what each instruction is, and whether one reaches the second now.

        Whether a queue accepts goes no further: the second takes an instruction only where it is empty, and holds two
        where the bus brings one a cycle.
        """
        m.submodules.legality = legality = Legality()
        raw = data.StructLayout({"word": INSTRUCTION_BITS, "error": 1})
        single = {name: queued(Opcode[name.upper()]).members["single"] for name in _QUEUES}
        marks = {"legal": 1, "finish": 1, "sync": 1, "free": 1, "single": data.StructLayout(single)}
        layout = data.StructLayout({**raw.members, **marks, "engines": len(ENGINES)})
        judged, waiting = Signal(raw, reset_less=True), Signal()
        verdict = stream.Signature(layout).create(path=("verdict",))
        take, go = assembled.ready & assembled.valid, Signal()
        header = data.View(instruction_layout(Opcode.SYNC), judged.word)
        m.d.comb += [
            legality.word.eq(assembled.p.word),
            legality.take.eq(take),
            assembled.ready.eq(~waiting | verdict.ready),
            verdict.valid.eq(waiting),
            *(verdict.p[name].eq(judged[name]) for name in raw.members),
            *(verdict.p[name].eq(getattr(legality, name)) for name in ("legal", "finish")),
            *(verdict.p.single[name].eq(getattr(legality, f"{name}_single")) for name in _QUEUES),
            verdict.p.sync.eq(header.opcode == Opcode.SYNC),
            verdict.p.free.eq(header.wait == 0),
            verdict.p.engines.eq(Mux(legality.legal & ~legality.finish & ~judged.error, 1 << legality.engine, 0)),
            go.eq(waiting & verdict.ready),
        ]
        with m.If(assembled.ready):
            m.d.sync += waiting.eq(assembled.valid)
        with m.If(take):
            m.d.sync += [judged.word.eq(assembled.p.word), judged.error.eq(assembled.p.error)]
        with m.If(~self.active):
            m.d.sync += waiting.eq(0)
        return self._hold(m, verdict), go

    def _hold(self, m: Module, verdict: Any) -> Any:
        """The second stage."""
        if self._config.bus_bits == INSTRUCTION_BITS:
            queue = Queue(verdict.payload.shape(), depth=2)
            m.submodules.checked = ResetInserter(~self.active)(queue)
            connect(m, verdict, queue.input)
            return queue.output
        out = stream.Signature(verdict.payload.shape()).create(path=("checked",))
        checked = Signal(verdict.payload.shape(), name="checked_q", reset_less=True)
        m.d.comb += [verdict.ready.eq(~out.valid), out.payload.eq(checked)]
        with m.If(out.ready):
            m.d.sync += out.valid.eq(0)
        with m.If(verdict.valid & verdict.ready):
            m.d.sync += [out.valid.eq(1), checked.eq(verdict.payload)]
        with m.If(~self.active):
            m.d.sync += out.valid.eq(0)
        return out

    def _control(self, m: Module, prefetcher: Any, checked: Any, turns: Signal) -> Signal:
        """The course of a program; `turns` where it takes one.

        The result tells whether what is checked may be handed on.
        """
        state = Signal(_State)
        left, none_left = Signal(32), Signal()
        wrong, begin = Signal(), Signal()
        m.d.comb += [
            self.active.eq(state != _State.IDLE),
            prefetcher.stop.eq(state != _State.RUN),
            begin.eq(self.start & (state == _State.IDLE)),
            prefetcher.start.eq(begin),
            wrong.eq(checked.p.error | ~checked.p.legal),
            self.fault.index.eq(self.index),
        ]
        with m.If(self.dispatched):
            m.d.sync += [self.index.eq(self.index + 1), left.eq(left - 1), none_left.eq(left == 1)]
        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(begin):
                m.d.sync += [state.eq(_State.RUN), self.index.eq(0), left.eq(self.count), none_left.eq(self.count == 0)]
            with m.Case(_State.RUN):
                with m.If(self.halt):
                    m.d.sync += state.eq(_State.DRAIN)
                with m.Elif(none_left):
                    m.d.comb += [self.fault.valid.eq(1), self.fault.code.eq(ErrorCode.PROGRAM_END)]
                with m.Elif(checked.valid & wrong):
                    code = Mux(checked.p.error, ErrorCode.BUS_READ, ErrorCode.ILLEGAL_INSTRUCTION)
                    m.d.comb += [self.fault.valid.eq(1), self.fault.code.eq(code)]
                with m.Elif(checked.valid & checked.p.finish):
                    m.d.sync += state.eq(_State.FINISH)
                with m.If(self.fault.valid):
                    m.d.sync += state.eq(_State.DRAIN)
            with m.Case(_State.FINISH):
                with m.If(self.halt):
                    m.d.sync += state.eq(_State.DRAIN)
                with m.Elif(self.engines_idle & prefetcher.idle):
                    m.d.comb += self.finished.eq(1)
                    m.d.sync += state.eq(_State.IDLE)
            with m.Case(_State.DRAIN), m.If(prefetcher.idle):
                m.d.sync += state.eq(_State.IDLE)
        ends = self.fault.valid | self.finished | (checked.valid & checked.p.finish & (state == _State.RUN))
        m.d.comb += turns.eq(begin | self.halt | ends | (state == _State.DRAIN))
        may_go = Signal()
        m.d.comb += may_go.eq((state == _State.RUN) & ~self.halt & ~none_left)
        return may_go

    def _dispatch(self, m: Module, checked: Any, may_go: Signal) -> None:
        """To the engine's queue, of a bit each in `engines`; FINISH and what is wrong have none, and stay."""
        accepted = []
        for engine, name in zip(ENGINES, _QUEUES, strict=True):
            queue = getattr(self, name)
            m.d.comb += [
                queue.valid.eq(checked.valid & may_go & checked.p.engines[engine]),
                queue.p.index.eq(self.index),
                queue.p.word.as_value().eq(checked.p.word),
                queue.p.sync.eq(checked.p.sync),
                queue.p.free.eq(checked.p.free),
                queue.p.single.eq(checked.p.single[name]),
            ]
            accepted.append(queue.valid & queue.ready)
        m.d.comb += [self.dispatched.eq(Cat(accepted).any()), checked.ready.eq(self.dispatched)]
