"""Two users of one memory."""

from typing import Any

from amaranth import Module, Mux
from amaranth.lib.wiring import Component, In, Out

from ...hw.queue import Queue
from .memory_bus import MemoryBus

__all__ = ["MemoryArbiter"]


class MemoryArbiter(Component):
    """Passes the commands of two users on to one memory.

    Parameters
    ----------
    reads
        Most reads without an answer.

    Members
    -------
    first, second
        The users; the first goes first.
    memory
        What they share.
    """

    def __init__(self, *, address_bits: int, word_bytes: int, reads: int = 16) -> None:
        self._reads = reads
        bus = MemoryBus(address_bits=address_bits, word_bytes=word_bytes)
        super().__init__({"first": In(bus), "second": In(bus), "memory": Out(bus)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.owners = owners = Queue(1, depth=self._reads)
        first, second, command = self.first.command, self.second.command, self.memory.command
        room = owners.input.ready
        # Whether the first may go does not depend on what the second asks for.
        first_may, second_may = room | first.p.write, room | second.p.write
        m.d.comb += [
            command.payload.eq(Mux(first.valid, first.payload, second.payload)),
            command.valid.eq(Mux(first.valid, first_may, second.valid & second_may)),
            first.ready.eq(command.ready & first_may),
            second.ready.eq(command.ready & second_may & ~first.valid),
            owners.input.valid.eq(command.valid & command.ready & ~command.p.write),
            owners.input.payload.eq(~first.valid),
            owners.output.ready.eq(self.memory.answered),
        ]
        for user, number in ((self.first, 0), (self.second, 1)):
            m.d.comb += [
                user.answered.eq(self.memory.answered & (owners.output.payload == number)),
                user.answer.eq(self.memory.answer),
            ]
        return m
