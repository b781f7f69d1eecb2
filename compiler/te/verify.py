"""What a well-formed function of the loop IR is, checked.

- A loop variable is used only inside its loop, and no loop runs over a variable that is in use.
- A vector loop holds no loop; its extent is a power of two.
- Every load and store is of a buffer of the function, with an index per dimension, each provably within the
  dimension's size; conditions around an access (guards, and choices around a load) count.
- What is stored has the buffer's dtype; inputs and constants are never written.
- A reduction has been turned into loops.
"""

from __future__ import annotations

from collections.abc import Sequence

from .analysis import Ranges, facts, interval
from .expr import Axis, Expr, Load, Reduce, Select
from .loops import Block, For, Function, Guard, Nest, Statement, Store
from .tensor import Tensor

__all__ = ["VerificationError", "verify"]


class VerificationError(AssertionError):
    """The compiler made a wrong function: a bug of the compiler, never of its user."""


def verify(function: Function) -> Function:
    """`function` itself, if it is well-formed.

    Raises
    ------
    VerificationError
        It is not; the message says where.
    """
    _Verifier(function).statement(function.body, {}, False)
    return function


class _Verifier:
    def __init__(self, function: Function) -> None:
        self.name = function.name
        self.readable = {*function.arguments, *function.scratch, *function.constants}
        self.writable = {*function.outputs, *function.scratch}
        self.checked: dict[tuple[int, int], tuple[Expr, Ranges]] = {}
        if len(set(function.arguments)) < len(function.arguments):
            raise self._error("a buffer is an argument twice")

    def _error(self, text: str) -> VerificationError:
        return VerificationError(f"{self.name}: {text}")

    def statement(self, node: Statement, ranges: Ranges, in_vector: bool) -> None:
        if isinstance(node, Block):
            for inner in node.body:
                self.statement(inner, ranges, in_vector)
        elif isinstance(node, For):
            self._loop(node, ranges, in_vector)
        elif isinstance(node, Guard):
            self._expr(node.condition, ranges)
            known = facts(node.condition, ranges)
            if _can_hold(known):
                self.statement(node.body, known, in_vector)
        elif isinstance(node, Store):
            self._store(node, ranges)
        elif isinstance(node, Nest):
            self._nest(node, ranges)
        else:
            raise self._error(f"{type(node).__name__} is not a statement")

    def _loop(self, node: For, ranges: Ranges, in_vector: bool) -> None:
        if node.axis in ranges:
            raise self._error(f"loop variable {node.axis.name} is in use")
        if in_vector:
            raise self._error(f"loop {node.axis.name} is inside a vector loop")
        if node.extent < 1 or node.kind not in ("serial", "vector", "unroll"):
            raise self._error(f"loop {node.axis.name} has extent {node.extent} and kind {node.kind}")
        if node.kind == "vector" and node.extent & (node.extent - 1):
            raise self._error(f"vector loop {node.axis.name} has {node.extent} steps, not a power of two")
        inner = {**ranges, node.axis: (0.0, float(node.extent - 1))}
        self.statement(node.body, inner, node.kind == "vector")

    def _store(self, node: Store, ranges: Ranges) -> None:
        if node.buffer not in self.writable:
            raise self._error(f"{node.buffer.name} is written and is neither output nor scratch")
        if node.value.dtype != node.buffer.dtype:
            raise self._error(f"{node.buffer.name} is {node.buffer.dtype} and gets {node.value.dtype}")
        self._access(node.buffer, node.indices, ranges)
        self._expr(node.value, ranges)

    def _nest(self, node: Nest, ranges: Ranges) -> None:
        inner: dict[Expr, tuple[float, float]] = dict(ranges)
        inner.update((a, (0.0, float(b - 1))) for a, b in zip(node.axes, node.bounds, strict=True))
        if node.result[0] not in self.writable:
            raise self._error(f"{node.result[0].name} is written and is neither output nor scratch")
        for buffer, form in (node.result, *node.operands):
            low = high = float(form.base)
            for axis, stride in form.terms.items():
                ends = [stride * end for end in inner[axis]]
                low, high = low + min(ends), high + max(ends)
            if buffer not in self.readable or low < 0 or high >= buffer.size:
                raise self._error(f"nest {node.intrinsic} reaches elements {low:.0f} to {high:.0f} of {buffer}")

    def _access(self, buffer: Tensor, indices: Sequence[Expr], ranges: Ranges) -> None:
        if buffer not in self.readable:
            raise self._error(f"{buffer.name} is not a buffer of the function")
        if len(indices) != len(buffer.shape):
            raise self._error(f"{buffer} is accessed with {len(indices)} indices")
        for index, size in zip(indices, buffer.shape, strict=True):
            self._expr(index, ranges)
            low, high = interval(index, ranges)
            if index.dtype != "int64" or low < 0 or high >= size:
                raise self._error(f"index {index} of {buffer} is from {low} to {high}, beyond 0 to {size - 1}")

    def _expr(self, node: Expr, ranges: Ranges) -> None:
        key = (id(node), id(ranges))
        if key in self.checked:
            return
        self.checked[key] = (node, ranges)
        if isinstance(node, Axis) and node not in ranges:
            raise self._error(f"loop variable {node.name} is used outside its loop")
        if isinstance(node, Reduce):
            raise self._error("a reduction is left in an expression")
        if isinstance(node, Load):
            self._access(node.tensor, node.indices, ranges)
        elif isinstance(node, Select):
            self._expr(node.condition, ranges)
            known = facts(node.condition, ranges)
            if _can_hold(known):
                self._expr(node.a, known)
            self._expr(node.b, ranges)
        else:
            for child in node.children:
                self._expr(child, ranges)


def _can_hold(ranges: Ranges) -> bool:
    """Whether a condition that says so of its expressions is ever true; what it guards is never reached otherwise."""
    return all(low <= high for low, high in ranges.values())
