"""The nest counter: walks an affine loop nest, one point a cycle."""

from collections.abc import Mapping
from typing import Any

from amaranth import Const, Module, Signal
from amaranth.hdl import ShapeLike, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

__all__ = ["NestStart", "NestWalker", "Point", "nest_start"]


class NestStart(data.StructLayout):
    """A nest to walk: ``bound``, which loops are ``single`` (of one iteration), for each operand ``<name>_base`` and
    ``<name>_stride``, and a ``context``."""

    def __init__(self, dims: int, bound_bits: int, operands: Mapping[str, int], context: ShapeLike) -> None:
        members: dict[str, Any] = {"bound": data.ArrayLayout(bound_bits, dims), "single": dims}
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


def nest_start(m: Module, target: Any, instruction: Any, operands: Mapping[str, str]) -> None:
    """Connect a NestStart's bounds and operands to those of an instruction as :func:`queued` has it.

    `operands` maps a name in `target` to the operand's name in the instruction. Loops that the
    walker has before the instruction's are left to the caller.
    """
    word = instruction.word
    fields = word.shape().members
    loops = sum(name.startswith("bound") for name in fields)
    extra = target.bound.shape().length - loops
    for d in range(loops):
        m.d.comb += [target.bound[extra + d].eq(word[f"bound{d}"]), target.single[extra + d].eq(instruction.single[d])]
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
        m.d.comb += [
            point.valid.eq(active),
            moves.eq(~active | point.ready),
            start.ready.eq(moves & fresh),
            point.p.last.eq(last),
            self.awake.eq((start.valid & start.ready) | (point.valid & point.ready)),
        ]
        advance, within = Signal(self._dims, reset_less=True), Signal(self._dims, reset_less=True)
        ends = self._loops(m, moves, fresh, advance, within)
        context = Signal(self._context, name="context_q", reset_less=True)
        # What is loaded while no nest is offered is never shown: only `active` and `fresh` look at `start.valid`.
        with m.If(moves):
            m.d.sync += [active.eq(~fresh | start.valid), last.eq(ends), fresh.eq(ends | (fresh & ~start.valid))]
            with m.If(fresh):
                m.d.sync += context.eq(start.p.context)
        m.d.comb += point.p.context.eq(context)
        for name, bits in self._operands.items():
            self._operand(m, name, bits, moves, fresh, advance, within)
        return m

    def _loops(self, m: Module, moves: Signal, fresh: Signal, advance: Signal, within: Signal) -> Any:
        """Iterations left in each loop, and the flags derived from them one cycle ahead, all of them registers.

        Of what the next move does, `advance` tells the loop that goes on, `within` that one and all inside it.
        The result tells whether the point that comes is its nest's last.
        """
        zero = Signal(self._dims, name="zero_q", reset_less=True)
        end = Signal(self._dims, name="end_q", reset_less=True)
        coming = Signal(self._dims, name="coming_end")
        m.d.comb += [self.point.p.zero.eq(zero), self.point.p.end.eq(end)]
        for d in range(self._dims):
            again = within[d - 1] if d else Const(0)
            m.d.comb += coming[d].eq(self._loop(m, d, moves, fresh, advance[d], again, end[d], zero[d]))
        with m.If(moves):
            m.d.sync += end.eq(coming)
            for d in range(self._dims):
                inside = coming[d + 1 :].all()
                m.d.sync += [advance[d].eq(~coming[d] & inside), within[d].eq(inside & ~coming.all())]
        return coming.all()

    def _loop(
        self, m: Module, d: int, moves: Signal, fresh: Signal, advances: Any, again: Any, end: Any, zero: Any
    ) -> Signal:
        """One loop, which advances, begins `again`, or stays; whether it will be at its last iteration."""
        bound, given = self.start.p.bound[d], Signal(self._bound_bits, name=f"given{d}")
        is_single = self.start.p.single[d]
        full = Signal(self._bound_bits, name=f"full{d}", reset_less=True)
        left = Signal(self._bound_bits, name=f"left{d}", reset_less=True)
        # Loops of one iteration and of two, and whether one iteration is left: compared before they are asked for.
        single, double, one = (Signal(name=f"{name}{d}", reset_less=True) for name in ("single", "double", "one"))
        coming = Signal(name=f"coming{d}")
        m.d.comb += given.eq(bound - 1)
        with m.If(fresh):
            m.d.comb += coming.eq(is_single)
        with m.Elif(advances):
            m.d.comb += coming.eq(one)
        with m.Elif(again):
            m.d.comb += coming.eq(single)
        with m.Else():
            m.d.comb += coming.eq(end)
        with m.If(moves & fresh):
            m.d.sync += [full.eq(given), left.eq(given), zero.eq(1), single.eq(is_single)]
            m.d.sync += [double.eq(bound == 2), one.eq(bound == 2)]
        with m.Elif(moves & advances):
            m.d.sync += [left.eq(left - 1), one.eq(left == 2), zero.eq(0)]
        with m.Elif(moves & again):
            m.d.sync += [left.eq(full), one.eq(double), zero.eq(1)]
        return coming

    def _operand(
        self, m: Module, name: str, bits: int, moves: Signal, fresh: Signal, advance: Signal, within: Signal
    ) -> None:
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
                with m.If(within[d]):
                    m.d.sync += at[d].eq(following)
        m.d.comb += self.point.p[name].eq(at[-1])
