"""The nest counter: walks an affine loop nest, one point a cycle."""

from collections.abc import Mapping
from typing import Any

from amaranth import Module, Signal
from amaranth.hdl import ShapeLike, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

__all__ = ["NestStart", "NestWalker", "Point", "nest_start"]


class NestStart(data.StructLayout):
    """A nest to walk: ``bound``, for each operand ``<name>_base`` and ``<name>_stride``, and a ``context``."""

    def __init__(self, dims: int, bound_bits: int, operands: Mapping[str, int], context: ShapeLike) -> None:
        members: dict[str, Any] = {"bound": data.ArrayLayout(bound_bits, dims)}
        for name, bits in operands.items():
            members[f"{name}_base"] = bits
            members[f"{name}_stride"] = data.ArrayLayout(signed(bits), dims)
        super().__init__({**members, "context": context})


class Point(data.StructLayout):
    """One point of a nest.

    Members
    -------
    <operand>
        Its address.
    zero, end
        Bit d: loop d is at its first, at its last iteration.
    last
        The nest's last point.
    context
        As given at the start.
    """

    def __init__(self, dims: int, operands: Mapping[str, int], context: ShapeLike) -> None:
        super().__init__({**operands, "zero": dims, "end": dims, "last": 1, "context": context})


def nest_start(m: Module, target: Any, word: Any, operands: Mapping[str, str]) -> None:
    """Connect a NestStart's bounds and operands to the fields of instruction `word`.

    `operands` maps a name in `target` to the operand's name in the instruction. Loops that the
    walker has before the instruction's are left to the caller.
    """
    fields = word.shape().members
    loops = sum(name.startswith("bound") for name in fields)
    extra = target.bound.shape().length - loops
    for d in range(loops):
        m.d.comb += target.bound[extra + d].eq(word[f"bound{d}"])
        for name, source in operands.items():
            m.d.comb += target[f"{name}_stride"][extra + d].eq(word[f"{source}_stride{d}"])
    for name, source in operands.items():
        m.d.comb += target[f"{name}_base"].eq(word[f"{source}_base"])


class NestWalker(Component):
    """Walks nests back to back: the next one's first point follows the last point at once.

    Parameters
    ----------
    dims
        Loops, 0 outermost.
    bound_bits
        Width of a bound; a bound is at least 1.
    operands
        Address width of each operand; addresses wrap.
    context
        Shape of what travels with every point.

    Members
    -------
    start
        Nests to walk. Accepted while idle, or with the last point of the one before.
    point
        Points in lexicographic order. All payload bits are registers.
    awake
        Something that shows may change at the next edge.
    """

    def __init__(self, *, dims: int, bound_bits: int, operands: Mapping[str, int], context: ShapeLike = 1) -> None:
        self._dims = dims
        self._bound_bits = bound_bits
        self._operands = dict(operands)
        self._context = context
        super().__init__(
            {
                "start": In(stream.Signature(NestStart(dims, bound_bits, operands, context))),
                "point": Out(stream.Signature(Point(dims, operands, context))),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        start, point = self.start, self.point
        active, fresh, last = Signal(), Signal(init=1), Signal(reset_less=True)
        moves = Signal()
        advance = Signal(self._dims)
        m.d.comb += [
            point.valid.eq(active),
            moves.eq(~active | point.ready),
            start.ready.eq(moves & fresh),
            point.p.last.eq(last),
            self.awake.eq((start.valid & start.ready) | (point.valid & point.ready)),
        ]
        for d in range(self._dims):
            m.d.comb += advance[d].eq(~point.p.end[d] & point.p.end[d + 1 :].all())
        ends = self._loops(m, moves, fresh, advance)
        context = Signal(self._context, name="context_q", reset_less=True)
        # What is loaded while no nest is offered is never shown: only `active` and `fresh` look at `start.valid`.
        with m.If(moves):
            m.d.sync += [active.eq(~fresh | start.valid), last.eq(ends), fresh.eq(ends | (fresh & ~start.valid))]
            with m.If(fresh):
                m.d.sync += context.eq(start.p.context)
        m.d.comb += point.p.context.eq(context)
        for name, bits in self._operands.items():
            self._operand(m, name, bits, moves, fresh, advance)
        return m

    def _loops(self, m: Module, moves: Signal, fresh: Signal, advance: Signal) -> Any:
        """Iterations left in each loop, and the flags derived from them one cycle ahead.

        The result tells whether the point that comes is its nest's last.
        """
        zero = Signal(self._dims, name="zero_q", reset_less=True)
        end = Signal(self._dims, name="end_q", reset_less=True)
        single = Signal(self._dims, name="single_q", reset_less=True)
        coming = Signal(self._dims, name="coming_end")
        m.d.comb += [self.point.p.zero.eq(zero), self.point.p.end.eq(end)]
        for d in range(self._dims):
            given = Signal(self._bound_bits, name=f"given{d}")
            full = Signal(self._bound_bits, name=f"full{d}", reset_less=True)
            left = Signal(self._bound_bits, name=f"left{d}", reset_less=True)
            m.d.comb += given.eq(self.start.p.bound[d] - 1)
            with m.If(fresh):
                m.d.comb += coming[d].eq(self.start.p.bound[d] == 1)
            with m.Elif(advance[d]):
                m.d.comb += coming[d].eq(left == 1)
            with m.Elif(advance[:d].any()):
                m.d.comb += coming[d].eq(single[d])
            with m.Else():
                m.d.comb += coming[d].eq(end[d])
            with m.If(moves & fresh):
                m.d.sync += [full.eq(given), left.eq(given), zero[d].eq(1), single[d].eq(coming[d])]
            with m.Elif(moves & advance[d]):
                m.d.sync += [left.eq(left - 1), zero[d].eq(0)]
            with m.Elif(moves & advance[:d].any()):
                m.d.sync += [left.eq(full), zero[d].eq(1)]
        with m.If(moves):
            m.d.sync += end.eq(coming)
        return coming.all()

    def _operand(self, m: Module, name: str, bits: int, moves: Signal, fresh: Signal, advance: Signal) -> None:
        """`at[d]` is the address with loops 0..d applied and the loops inside at 0; `at[-1]` is the point's."""
        at = [Signal(bits, name=f"{name}_at{d}", reset_less=True) for d in range(self._dims)]
        strides = [Signal(bits, name=f"{name}_stride{d}", reset_less=True) for d in range(self._dims)]
        following = Signal(bits, name=f"{name}_following")
        base, stride = Signal(bits, name=f"{name}_from"), Signal(bits, name=f"{name}_by")
        for d in range(self._dims):
            with m.If(advance[d]):
                m.d.comb += [base.eq(at[d]), stride.eq(strides[d])]
        m.d.comb += following.eq(base + stride)
        with m.If(moves & fresh):
            for d in range(self._dims):
                m.d.sync += at[d].eq(self.start.p[f"{name}_base"])
                m.d.sync += strides[d].eq(self.start.p[f"{name}_stride"][d])
        with m.Elif(moves):
            for d in range(self._dims):
                with m.If(advance[: d + 1].any()):
                    m.d.sync += at[d].eq(following)
        m.d.comb += self.point.p[name].eq(at[-1])
