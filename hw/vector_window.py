"""Results of the vector engine on their way to memory: what a later step must wait for."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

__all__ = ["VectorWindow"]


class VectorWindow(Component):
    """Destinations that are claimed and not yet written, oldest first, with two look-ups a cycle.

    Members
    -------
    claim, claimed, room
        Add a destination; only while there is `room`.
    release, oldest
        `oldest` has been written.
    look_a, hit_a, look_b, hit_b
        Whether a destination is among them.
    """

    def __init__(self, *, memory_bits: int, address_bits: int, rows: int, depth: int) -> None:
        self._depth = depth
        place = data.StructLayout({"memory": memory_bits, "address": address_bits})
        self._claim = data.StructLayout({"memory": memory_bits, "address": address_bits, "rows": rows, "last": 1})
        super().__init__(
            {
                "claim": In(1),
                "claimed": In(self._claim),
                "room": Out(1),
                "release": In(1),
                "oldest": Out(self._claim),
                "look_a": In(place),
                "hit_a": Out(1),
                "look_b": In(place),
                "hit_b": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        entries = [Signal(self._claim, name=f"entry{n}", reset_less=True) for n in range(self._depth)]
        valid = Signal(self._depth)
        head, tail = Signal(self._depth, init=1), Signal(self._depth, init=1)
        with m.If(self.claim):
            m.d.sync += head.eq(head.rotate_left(1))
        with m.If(self.release):
            m.d.sync += tail.eq(tail.rotate_left(1))
        m.d.comb += self.room.eq(~valid.all())
        hits_a: list[Any] = []
        hits_b: list[Any] = []
        for n, entry in enumerate(entries):
            with m.If(self.claim & head[n]):
                m.d.sync += [entry.eq(self.claimed), valid[n].eq(1)]
            with m.Elif(self.release & tail[n]):
                m.d.sync += valid[n].eq(0)
            with m.If(tail[n]):
                m.d.comb += self.oldest.eq(entry)
            for look, hits in ((self.look_a, hits_a), (self.look_b, hits_b)):
                hits.append(valid[n] & (entry.memory == look.memory) & (entry.address == look.address))
        m.d.comb += [self.hit_a.eq(Cat(hits_a).any()), self.hit_b.eq(Cat(hits_b).any())]
        return m
