"""A nest counter that knows the point after the present one: what looks at its operands gets a cycle for it."""

from collections.abc import Mapping
from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from .nest import NestStart, Point

__all__ = ["AheadWalker", "Upcoming"]


class Upcoming(data.StructLayout):
    """The point that comes when the present one goes: as :class:`Point`, without `last`."""

    def __init__(self, dims: int, operands: Mapping[str, int], context: ShapeLike) -> None:
        super().__init__({**operands, "zero": dims, "end": dims, "context": context})


class AheadWalker(Component):
    """Walks nests in the same cycles as :class:`NestWalker`, one point ahead of what it shows.

    Parameters
    ----------
    dims, bound_bits, operands, context
        See :class:`NestWalker`.

    Members
    -------
    start, point
        See :class:`NestWalker`.
    moves
        The present point, if any, goes at this edge.
    upcoming
        What then comes in its place: the nest's next point, or the first point of the nest that `start` offers.
    """

    def __init__(self, *, dims: int, bound_bits: int, operands: Mapping[str, int], context: ShapeLike) -> None:
        self._dims = dims
        self._bound_bits = bound_bits
        self._operands = dict(operands)
        self._context = context
        super().__init__(
            {
                "start": In(stream.Signature(NestStart(dims, bound_bits, operands, context))),
                "point": Out(stream.Signature(Point(dims, operands, context))),
                "moves": Out(1),
                "upcoming": Out(Upcoming(dims, operands, context)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        start, point, moves = self.start, self.point, self.moves
        fresh = Signal(init=1)
        active, last, coming_last = Signal(), Signal(reset_less=True), Signal()
        end, advance = Signal(self._dims), Signal(self._dims)
        for d in range(self._dims):
            m.d.comb += advance[d].eq(~end[d] & end[d + 1 :].all())
        m.d.comb += [
            moves.eq(~active | point.ready),
            start.ready.eq(moves & fresh),
            point.valid.eq(active),
            point.p.last.eq(last),
            coming_last.eq(end.all()),
        ]
        with m.If(moves):
            m.d.sync += [active.eq(~fresh | start.valid), last.eq(coming_last)]
            m.d.sync += fresh.eq(coming_last | (fresh & ~start.valid))
        context = Signal(self._context, name="context_q", reset_less=True)
        with m.If(moves & fresh):
            m.d.sync += context.eq(start.p.context)
        m.d.comb += [point.p.context.eq(context), self.upcoming.context.eq(Mux(fresh, start.p.context, context))]
        self._loops(m, fresh, end, advance)
        for name, bits in self._operands.items():
            self._operand(m, name, bits, fresh, advance)
        return m

    def _loops(self, m: Module, fresh: Signal, end: Signal, advance: Signal) -> None:
        """Iterations that the coming point leaves in each loop, and its flags."""
        zero_q = Signal(self._dims, reset_less=True)
        end_q = Signal(self._dims, reset_less=True)
        single_q = Signal(self._dims, reset_less=True)
        shown_zero = Signal(self._dims, reset_less=True)
        shown_end = Signal(self._dims, reset_less=True)
        m.d.comb += [self.point.p.zero.eq(shown_zero), self.point.p.end.eq(shown_end)]
        upcoming = self.upcoming
        m.d.comb += [upcoming.zero.eq(Mux(fresh, (1 << self._dims) - 1, zero_q)), upcoming.end.eq(end)]
        with m.If(self.moves):
            m.d.sync += [shown_zero.eq(upcoming.zero), shown_end.eq(end)]
        for d in range(self._dims):
            bound = self.start.p.bound[d]
            full, left = (Signal(self._bound_bits, name=f"{name}{d}", reset_less=True) for name in ("full", "left"))
            now, refill, single = (
                Signal(self._bound_bits, name=f"now{d}"),
                Signal(self._bound_bits, name=f"refill{d}"),
                Signal(name=f"single{d}"),
            )
            with m.If(fresh):
                m.d.comb += [refill.eq(bound - 1), now.eq(bound - 1), single.eq(bound == 1), end[d].eq(bound == 1)]
            with m.Else():
                m.d.comb += [refill.eq(full), now.eq(left), single.eq(single_q[d]), end[d].eq(end_q[d])]
            with m.If(self.moves):
                m.d.sync += [full.eq(refill), single_q[d].eq(single)]
                with m.If(advance[d]):
                    m.d.sync += [left.eq(now - 1), zero_q[d].eq(0), end_q[d].eq(now == 1)]
                with m.Elif(advance[:d].any()):
                    m.d.sync += [left.eq(refill), zero_q[d].eq(1), end_q[d].eq(single)]
                with m.Else():
                    m.d.sync += [left.eq(now), zero_q[d].eq(fresh | zero_q[d]), end_q[d].eq(end[d])]

    def _operand(self, m: Module, name: str, bits: int, fresh: Signal, advance: Signal) -> None:
        """`at[d]` is the coming point's address with loops 0..d applied and the loops inside at 0."""
        at = [Signal(bits, name=f"{name}_at{d}", reset_less=True) for d in range(self._dims)]
        strides = [Signal(bits, name=f"{name}_stride{d}", reset_less=True) for d in range(self._dims)]
        shown = Signal(bits, name=f"{name}_shown", reset_less=True)
        base, stride = Signal(bits, name=f"{name}_from"), Signal(bits, name=f"{name}_by")
        following = Signal(bits, name=f"{name}_following")
        first = self.start.p[f"{name}_base"]
        given = self.start.p[f"{name}_stride"]
        with m.If(fresh):
            m.d.comb += base.eq(first)
            for d in range(self._dims):
                with m.If(advance[d]):
                    m.d.comb += stride.eq(given[d])
        with m.Else():
            for d in range(self._dims):
                with m.If(advance[d]):
                    m.d.comb += [base.eq(at[d]), stride.eq(strides[d])]
        coming = Mux(fresh, first, at[-1])
        m.d.comb += [following.eq(base + stride), self.point.p[name].eq(shown), self.upcoming[name].eq(coming)]
        with m.If(self.moves):
            m.d.sync += shown.eq(coming)
            for d in range(self._dims):
                m.d.sync += at[d].eq(Mux(advance[: d + 1].any(), following, Mux(fresh, first, at[d])))
        with m.If(self.moves & fresh):
            m.d.sync += [each.eq(given[d]) for d, each in enumerate(strides)]
