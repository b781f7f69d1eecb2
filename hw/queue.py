"""A first-in first-out queue between two streams."""

from typing import Any

from amaranth import Array, Module, Mux, Signal
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import memory, stream
from amaranth.lib.wiring import Component, In, Out

__all__ = ["Queue"]

_REGISTER_BITS = 16  # of a ring; a memory of so few costs more than registers


def _place(m: Module, places: int, moves: Any, name: str) -> Signal:
    """Counts from 0 to `places` - 1 and begins anew."""
    place = Signal(range(places), name=name)
    with m.If(moves):
        m.d.sync += place.eq(Mux(place == places - 1, 0, place + 1))
    return place


class Queue(Component):
    """Passes payloads on in order. What it holds of few bits is in registers, the rest in memory.

    Parameters
    ----------
    shape
        Shape of a payload.
    depth
        Payloads that it holds, at least 2.
    block_memory
        Keep them in memory with a registered output, for deep or wide queues: a payload then shows two cycles
        after it went in instead of one.
    pauses
        Only with `block_memory`: nothing shows in the cycle after a payload was accepted. Then whether the output takes
        one does not decide in that cycle, for all of the payload's bits, whether the next one comes.

    Members
    -------
    input, output
        The two ends.
    occupied
        There is one inside, whether or not it shows already; of registers only.
    awake
        Something in it may change at the next edge.
    """

    def __init__(self, shape: ShapeLike, *, depth: int, block_memory: bool = False, pauses: bool = False) -> None:
        self._shape, self._depth, self._block_memory, self._pauses = shape, depth, block_memory, pauses
        super().__init__(
            {
                "input": In(stream.Signature(shape)),
                "output": Out(stream.Signature(shape)),
                "occupied": Out(1),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        return self._in_block_memory() if self._block_memory else self._beside_a_register()

    def _beside_a_register(self) -> Module:
        """The head is a register, and a ring keeps what is behind it: whether the head is accepted only says when."""
        m = Module()
        head = Signal(self._shape, name="head", reset_less=True)
        frees, keeps, leaves, places = Signal(), Signal(), Signal(), self._depth - 1
        behind, full = self._behind(m, places, keeps, leaves)
        kept = self._ring(m, places, ~full, keeps, leaves)
        m.d.comb += [
            self.output.valid.eq(self.occupied),
            self.output.payload.eq(head),
            self.input.ready.eq(~full),
            frees.eq(~self.occupied | self.output.ready),
            keeps.eq(self.input.valid & ~full & (behind | ~frees)),
            leaves.eq(frees & behind),
            self.awake.eq((self.input.valid & ~full) | (self.occupied & self.output.ready)),
        ]
        with m.If(frees):
            m.d.sync += [head.eq(Mux(behind, kept, self.input.payload)), self.occupied.eq(behind | self.input.valid)]
        return m

    def _ring(self, m: Module, places: int, room: Any, keeps: Any, leaves: Any) -> Any:
        """The oldest of those behind the head. Each input is written behind the youngest, and stays if it is kept."""
        if places == 1:
            spare = Signal(self._shape, name="spare", reset_less=True)
            with m.If(room):
                m.d.sync += spare.eq(self.input.payload)
            return spare
        if places * Shape.cast(self._shape).width <= _REGISTER_BITS:
            return self._in_registers(m, places, room, keeps, leaves)
        m.submodules.ring = ring = memory.Memory(shape=Shape.cast(self._shape), depth=places, init=[])
        write, read = ring.write_port(), ring.read_port(domain="comb")
        m.d.comb += [write.en.eq(room), write.data.eq(self.input.payload)]
        m.d.comb += write.addr.eq(_place(m, places, keeps, "produce"))
        m.d.comb += read.addr.eq(_place(m, places, leaves, "consume"))
        return read.data

    def _in_registers(self, m: Module, places: int, room: Any, keeps: Any, leaves: Any) -> Any:
        bits = Shape.cast(self._shape).width
        kept = [Signal(bits, name=f"kept_{n}", reset_less=True) for n in range(places)]
        produce, consume = _place(m, places, keeps, "produce"), _place(m, places, leaves, "consume")
        for n, each in enumerate(kept):
            with m.If(room & (produce == n)):
                m.d.sync += each.eq(self.input.payload)
        return Array(kept)[consume]

    def _in_block_memory(self) -> Module:
        """As :meth:`_beside_a_register`, but the head is the memory's own output register."""
        m = Module()
        places = self._depth - 1
        m.submodules.storage = storage = memory.Memory(shape=Shape.cast(self._shape), depth=places, init=[])
        write, read = storage.write_port(), storage.read_port(domain="sync")
        shows, frees, keeps, leaves = self.output.valid, Signal(), Signal(), Signal()
        behind, full = self._behind(m, places, keeps, leaves)
        m.d.comb += [
            write.en.eq(~full),
            write.addr.eq(_place(m, places, keeps, "produce")),
            write.data.eq(self.input.payload),
            read.en.eq(frees),
            read.addr.eq(_place(m, places, leaves, "consume")),
            self.output.payload.eq(read.data),
            self.input.ready.eq(~full),
            frees.eq(~shows | (self.output.ready & (not self._pauses))),
            keeps.eq(self.input.valid & ~full),
            leaves.eq(frees & behind),
            self.occupied.eq(shows | behind),
            self.awake.eq(keeps | Mux(shows, self.output.ready, self.occupied)),
        ]
        with m.If(frees):
            m.d.sync += shows.eq(behind)
        with m.Elif(self.output.ready):
            m.d.sync += shows.eq(0)
        return m

    def _behind(self, m: Module, places: int, keeps: Any, leaves: Any) -> tuple[Signal, Signal]:
        """Whether there is something behind the head, and whether there is no room for more; registers."""
        count, behind, full = Signal(range(places + 1)), Signal(), Signal()
        with m.If(keeps & ~leaves):
            m.d.sync += [count.eq(count + 1), behind.eq(1), full.eq(count == places - 1)]
        with m.Elif(leaves & ~keeps):
            m.d.sync += [count.eq(count - 1), behind.eq(count != 1), full.eq(0)]
        return behind, full
