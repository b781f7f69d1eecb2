"""The front and the end of an engine: takes instructions in order, starts nests, retires them."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from ..isa.table import ENGINES, Opcode
from .layout import INDEX_BITS
from .queue import Queue
from .signatures import engine_members

__all__ = ["Sequencer"]

_IN_FLIGHT = 8


class Sequencer(Component):
    """Gives each instruction its tokens, hands its nest on, and retires instructions in order.

    Tokens for the next instruction are taken while the nest before it still runs, so that nests follow one
    another without a gap. What waits for tokens starts in the cycle after it has them.

    Members
    -------
    instruction, tokens, pending, oldest, started, started_index, retired, retired_index, awake
        See :func:`engine_members`.
    halt
        While 1 no nest is started.
    nest
        Instructions whose nest may begin, in order; never a SYNC.
    complete
        A pulse when everything of the oldest incomplete nest has been written.
    waiting
        An instruction can't start, or can't retire, for want of a token or of room for one.
    """

    def __init__(self, opcode: Opcode) -> None:
        members = engine_members(opcode)
        for name in ("fault", "activity"):
            del members[name]
        payload = members["instruction"].signature.members["payload"].shape
        super().__init__({**members, "nest": Out(stream.Signature(payload)), "complete": In(1), "waiting": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        entry = data.StructLayout({"index": INDEX_BITS, "signal": len(ENGINES), "sync": 1})
        m.submodules.retire = retire = Queue(entry, depth=_IN_FLIGHT, block_memory=True, pauses=True)
        head = self.instruction.payload
        acquired, able, go, is_sync = Signal(), Signal(), Signal(), Signal()
        granted, free, keeps = Signal(), Signal(), Signal()
        acquire, nest = self.tokens.acquire, self.nest
        m.d.comb += [
            is_sync.eq(head.sync),
            free.eq(self.instruction.valid & head.free),
            acquire.valid.eq(self.instruction.valid & ~acquired & ~free & ~self.halt),
            acquire.payload.eq(head.word.wait),
            granted.eq(acquired | free | (acquire.valid & acquire.ready)),
            able.eq(self.instruction.valid & ~self.halt & retire.input.ready & (acquired | free)),
            nest.valid.eq(able & ~is_sync),
            nest.payload.eq(head),
            go.eq(able & (is_sync | nest.ready)),
            self.instruction.ready.eq(go),
            self.started.eq(go),
            self.started_index.eq(head.index),
        ]
        m.d.comb += keeps.eq(granted & ~free & ~go)
        m.d.sync += acquired.eq(keeps)
        m.d.comb += [
            retire.input.p.index.eq(head.index),
            retire.input.p.signal.eq(head.word.signal),
            retire.input.p.sync.eq(is_sync),
            retire.input.valid.eq(go),
        ]
        self._retire(m, retire)
        moves = retire.awake | self.complete | self.tokens.release.valid | (keeps != acquired)
        m.d.comb += self.awake.eq(moves | self.halt | go)
        m.d.comb += self.waiting.eq(
            (self.instruction.valid & ~granted) | (self.tokens.release.valid & ~self.tokens.release.ready)
        )
        return m

    def _retire(self, m: Module, retire: Queue) -> None:
        """Nests complete in order; a SYNC is complete as soon as it is the oldest."""
        completed, some = Signal(range(_IN_FLIGHT + 2)), Signal()
        release, oldest = self.tokens.release, retire.output.p
        uses_one = Signal()
        m.d.comb += [
            release.valid.eq(retire.output.valid & (oldest.sync | some)),
            release.payload.eq(oldest.signal),
            self.retired.eq(release.valid & release.ready),
            self.retired_index.eq(oldest.index),
            retire.output.ready.eq(self.retired),
            uses_one.eq(self.retired & ~oldest.sync),
            self.pending.eq(retire.occupied),
            self.oldest.eq(oldest.index),
        ]
        with m.If(self.complete & ~uses_one):
            m.d.sync += [completed.eq(completed + 1), some.eq(1)]
        with m.Elif(uses_one & ~self.complete):
            m.d.sync += [completed.eq(completed - 1), some.eq(completed != 1)]
