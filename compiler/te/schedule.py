"""How a tensor is computed, apart from what it is.

A :class:`Schedule` covers every tensor between the placeholders and the outputs; ``schedule[tensor]`` is its
:class:`Stage`. A stage starts as one loop per axis, data axes first, then the axes of its reduction; its methods
rearrange these loops and never change a value (sums of floats keep their order along each reduction axis; reordering
reduction axes against one another changes the order of summation)::

    s = Schedule(out)
    s[padded].inline()
    n, c, h, w = s[out].axes
    outer, inner = s[out].split(w, 16)
    s[out].vectorize(inner)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .expr import Axis
from .tensor import Tensor

__all__ = ["Fuse", "Intrinsic", "Schedule", "Split", "Stage"]


@dataclass(frozen=True)
class Split:
    """``parent = outer · factor + inner``."""

    parent: Axis
    outer: Axis
    inner: Axis
    factor: int


@dataclass(frozen=True)
class Fuse:
    """``fused = outer · extent(inner) + inner``."""

    outer: Axis
    inner: Axis
    fused: Axis


@dataclass(frozen=True)
class Intrinsic:
    """A hardware operation that does a whole nest of loops at once.

    Lowering replaces the tensorised loops by one :class:`~.loops.Nest` naming this intrinsic: bounds, and for the
    result and each tensor read an affine access. Who generates code knows what `name` does.
    """

    name: str


class Stage:
    """The loops of one tensor.

    Members
    -------
    tensor
        What is computed.
    leaves
        The loops, outermost first.
    axes, reduce_axes
        The axes that the tensor's expression was written with.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.axes = tensor.axes
        self.reduce_axes = tensor.reduce_axes
        self.leaves: list[Axis] = [*tensor.axes, *tensor.reduce_axes]
        self.relations: list[Split | Fuse] = []
        self.vector: tuple[Axis, int] | None = None
        self.unrolled: set[Axis] = set()
        self.inlined = False
        self.attached: tuple[Tensor, Axis] | None = None
        self.tensorized: tuple[Axis, Intrinsic] | None = None

    def split(self, axis: Axis, factor: int) -> tuple[Axis, Axis]:
        """Two loops for one, the inner of `factor` steps; a remainder is guarded. Returns (outer, inner)."""
        place = self._place(axis)
        if factor < 1:
            raise ValueError(f"split factor of {axis.name} must be at least 1, not {factor}")
        outer = Axis(f"{axis.name}.o", -(-axis.extent // factor), axis.reduce)
        inner = Axis(f"{axis.name}.i", min(factor, axis.extent), axis.reduce)
        self.relations.append(Split(axis, outer, inner, factor))
        self.leaves[place : place + 1] = [outer, inner]
        return outer, inner

    def tile(self, y: Axis, x: Axis, y_factor: int, x_factor: int) -> tuple[Axis, Axis, Axis, Axis]:
        """Split both and bring the outer loops outside. Returns (y outer, x outer, y inner, x inner)."""
        y_outer, y_inner = self.split(y, y_factor)
        x_outer, x_inner = self.split(x, x_factor)
        self.reorder(y_outer, x_outer, y_inner, x_inner)
        return y_outer, x_outer, y_inner, x_inner

    def fuse(self, outer: Axis, inner: Axis) -> Axis:
        """One loop for two that follow each other."""
        place = self._place(outer)
        if self.leaves[place + 1 : place + 2] != [inner] or outer.reduce != inner.reduce:
            raise ValueError(f"{inner.name} must follow {outer.name}, and be of its kind, to be fused with it")
        fused = Axis(f"{outer.name}.{inner.name}", outer.extent * inner.extent, outer.reduce)
        self.relations.append(Fuse(outer, inner, fused))
        self.leaves[place : place + 2] = [fused]
        return fused

    def reorder(self, *order: Axis) -> None:
        """The loops named take each other's places so that they follow `order`."""
        places = sorted(self._place(axis) for axis in order)
        if len(set(places)) != len(order):
            raise ValueError("reorder must name each loop once")
        for place, axis in zip(places, order, strict=True):
            self.leaves[place] = axis

    def vectorize(self, axis: Axis, lanes: int = 16) -> None:
        """Compute up to `lanes` steps (a power of two) of the innermost loop at once; the rest one by one."""
        if axis.reduce or self._place(axis) != len(self.leaves) - 1:
            raise ValueError(f"{axis.name} must be the innermost loop and not a reduction's, to be vectorised")
        if lanes < 2 or lanes & (lanes - 1):
            raise ValueError(f"lanes must be a power of two, at least 2, not {lanes}")
        self.vector = (axis, lanes)

    def unroll(self, axis: Axis) -> None:
        """Write the loop's body out once a step."""
        self._place(axis)
        self.unrolled.add(axis)

    def inline(self) -> None:
        """Compute the tensor's elements where they are read; not for reductions."""
        if self.reduce_axes:
            raise ValueError(f"{self.tensor.name} is a reduction and must not be inlined")
        self.inlined = True

    def compute_at(self, consumer: Stage, axis: Axis) -> None:
        """Compute inside loop `axis` of `consumer` just the part that the rest of the loop's body needs."""
        consumer._place(axis)
        self.attached = (consumer.tensor, axis)

    def tensorize(self, axis: Axis, intrinsic: Intrinsic) -> None:
        """Hand the loops from `axis` inwards to a hardware operation."""
        self._place(axis)
        self.tensorized = (axis, intrinsic)

    def _place(self, axis: Axis) -> int:
        if axis not in self.leaves:
            raise ValueError(f"{axis!r} must be a loop of {self.tensor.name}: {self.leaves}")
        return self.leaves.index(axis)


class Schedule:
    """A stage for every computed tensor that `outputs` need, in the order of computation.

    Raises
    ------
    ValueError
        An output is not a computed tensor.
    """

    def __init__(self, outputs: Tensor | Sequence[Tensor]) -> None:
        self.outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
        for tensor in self.outputs:
            if tensor.body is None:
                raise ValueError(f"output {tensor.name} must be a computed tensor")
        self.stages: dict[Tensor, Stage] = {}
        for tensor in self.outputs:
            self._collect(tensor)

    def _collect(self, output: Tensor) -> None:
        """Producers first; without recursion, since networks are deep."""
        pending = [(output, iter(output.producers))]
        entered = {output, *self.stages}
        while pending:
            tensor, producers = pending[-1]
            following = next((t for t in producers if t.body is not None and t not in entered), None)
            if following is None:
                self.stages.setdefault(tensor, Stage(tensor))
                pending.pop()
            else:
                entered.add(following)
                pending.append((following, iter(following.producers)))

    def __getitem__(self, tensor: Tensor) -> Stage:
        return self.stages[tensor]
