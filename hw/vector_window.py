"""Results of the vector engine on their way to memory: what a later step must wait for."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import fifo
from amaranth.lib.wiring import Component, In, Out

__all__ = ["VectorWindow"]


class VectorWindow(Component):
    """Destinations that are claimed and not yet written, oldest first.

    Whether the operands of a step are among them is known in registers: for the step that comes next it is found out
    while the present one is still there, for one that stays from what is written meanwhile.

    Parameters
    ----------
    place_bits
        Of what says where a cell is; the same cell is always said in the same way.
    written
        Shape of what is to be known when a destination is written.

    Members
    -------
    claim, place, claimed, room
        The present step has a destination, which is added when the step goes; only while there is `room`.
    release, oldest
        `oldest` has been written. It shows two cycles after it was claimed, at the earliest.
    move
        The present step, if any, goes at this edge; the operands of the next one are at `next_a` and `next_b`.
    hit_a, hit_b
        Whether the present step's operands are among the destinations.
    """

    def __init__(self, *, place_bits: int, written: ShapeLike, depth: int) -> None:
        self._depth, self._place_bits, self._written = depth, place_bits, written
        super().__init__(
            {
                "claim": In(1),
                "place": In(place_bits),
                "claimed": In(written),
                "room": Out(1),
                "release": In(1),
                "oldest": Out(written),
                "move": In(1),
                "next_a": In(place_bits),
                "next_b": In(place_bits),
                "hit_a": Out(1),
                "hit_b": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        valid = Signal(self._depth)
        head, tail = Signal(self._depth, init=1), Signal(self._depth, init=1)
        full, added = Signal(), Signal()
        m.d.comb += [added.eq(self.claim & self.move), self.room.eq(~full)]
        with m.If(added):
            m.d.sync += head.eq(head.rotate_left(1))
        with m.If(self.release):
            m.d.sync += tail.eq(tail.rotate_left(1))
        with m.If(added & ~self.release):
            m.d.sync += full.eq((head.rotate_left(1) & tail).any())
        with m.Elif(self.release & ~added):
            m.d.sync += full.eq(0)
        m.d.sync += valid.eq(
            (valid | (head & added.replicate(self._depth))) & ~(tail & self.release.replicate(self._depth))
        )
        self._keep(m, added)
        places = [Signal(self._place_bits, name=f"place{n}", reset_less=True) for n in range(self._depth)]
        for n, place in enumerate(places):
            with m.If(added & head[n]):
                m.d.sync += place.eq(self.place)
        for operand in "ab":
            self._look(m, operand, places, valid, head, tail)
        return m

    def _keep(self, m: Module, added: Signal) -> None:
        """Results come many cycles after their claim, in the same order: a memory has what is written with them."""
        m.submodules.claims = claims = fifo.SyncFIFOBuffered(
            width=Shape.cast(self._written).width, depth=self._depth + 1
        )
        m.d.comb += [
            claims.w_data.eq(self.claimed),
            claims.w_en.eq(added),
            self.oldest.as_value().eq(claims.r_data),
            claims.r_en.eq(self.release),
        ]

    def _look(self, m: Module, operand: str, places: list[Any], valid: Signal, head: Signal, tail: Signal) -> None:
        """Where a step claims, the next one is compared with the claim: it is there as soon as the step has gone."""
        coming = getattr(self, f"next_{operand}")
        same = Signal(self._depth, name=f"same_{operand}")
        match = Signal(self._depth, name=f"match_{operand}", reset_less=True)
        newest = Signal(name=f"newest_{operand}")
        m.d.comb += [
            same.eq(Cat(place == coming for place in places)),
            newest.eq(self.place == coming),
        ]

        def stays(which: Signal) -> Any:
            """One of them is valid after this cycle, in which the oldest may be written."""
            return (valid & which & ~tail).any() | ((valid & which & tail).any() & ~self.release)

        hits = Mux(self.move, stays(same) | (self.claim & newest), stays(match))
        m.d.sync += getattr(self, f"hit_{operand}").eq(hits)
        with m.If(self.move):
            m.d.sync += match.eq(Cat(Mux(self.claim & head[n], newest, same[n]) for n in range(self._depth)))
