"""The loop IR: what a scheduled expression becomes, and what code is generated from.

Expressions are those of :mod:`.expr`, over loop variables and with loads of *buffers* (tensors that have memory:
arguments, constants, scratch). :mod:`.verify` states what a well-formed function is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .analysis import Affine
from .expr import Axis, Expr
from .tensor import Tensor

__all__ = ["STACK_BYTES", "Block", "For", "Function", "Guard", "Nest", "Statement", "Store", "statements"]

STACK_BYTES = 16 * 1024
WORKSPACE_ALIGNMENT = 64


class Statement:
    """Base of all statements."""

    def lines(self) -> Iterator[str]:
        """Text for people."""
        raise NotImplementedError


@dataclass(frozen=True)
class Store(Statement):
    buffer: Tensor
    indices: tuple[Expr, ...]
    value: Expr

    def lines(self) -> Iterator[str]:
        yield f"{self.buffer.name}[{', '.join(map(repr, self.indices))}] = {self.value}"


@dataclass(frozen=True)
class Block(Statement):
    body: tuple[Statement, ...]

    def lines(self) -> Iterator[str]:
        for statement in self.body:
            yield from statement.lines()


@dataclass(frozen=True)
class For(Statement):
    """`body` for `axis` from 0 to `extent` - 1. `kind`: "serial", "vector" (all steps at once) or "unroll"."""

    axis: Axis
    extent: int
    body: Statement
    kind: str = "serial"

    def lines(self) -> Iterator[str]:
        yield f"for {self.axis.name} in {self.extent}{'' if self.kind == 'serial' else f' ({self.kind})'}:"
        yield from (f"  {line}" for line in self.body.lines())


@dataclass(frozen=True)
class Guard(Statement):
    """`body` only where `condition`."""

    condition: Expr
    body: Statement

    def lines(self) -> Iterator[str]:
        yield f"if {self.condition}:"
        yield from (f"  {line}" for line in self.body.lines())


@dataclass(frozen=True)
class Nest(Statement):
    """A nest of loops that a hardware operation does at once.

    Members
    -------
    intrinsic
        Its name.
    axes, bounds
        The loops, outermost first; `reduces` says of each whether the reduction folds over it.
    result, operands
        (buffer, address in elements) of what is written and of each tensor read. Addresses are affine over `axes`
        and the loops outside.
    initialise
        Whether the results start from the reduction's start value rather than from what the buffer holds.
    """

    intrinsic: str
    axes: tuple[Axis, ...]
    bounds: tuple[int, ...]
    result: tuple[Tensor, Affine]
    operands: tuple[tuple[Tensor, Affine], ...]
    reduces: tuple[bool, ...]
    initialise: bool

    def lines(self) -> Iterator[str]:
        loops = ", ".join(f"{axis.name} in {bound}" for axis, bound in zip(self.axes, self.bounds, strict=True))
        yield f"{self.intrinsic}({loops}): {self.result[0].name} from {[t.name for t, _ in self.operands]}"


@dataclass(frozen=True, kw_only=True)
class Function:
    """A host function ``void name(void **buffers)``.

    Members
    -------
    name
        Its symbol.
    inputs, outputs
        The buffers behind ``buffers[0]``, ``buffers[1]`` …, inputs first. Outputs overlap nothing.
    scratch
        Buffers of its own: on the stack as far as :data:`STACK_BYTES` reach, the others in the workspace.
    constants
        Buffers whose contents are part of the code.
    body
        What it does.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    scratch: tuple[Tensor, ...] = ()
    constants: tuple[Tensor, ...] = ()
    body: Statement = field(default_factory=lambda: Block(()))

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        return self.inputs + self.outputs

    @property
    def workspace(self) -> dict[Tensor, int]:
        """Byte offset of each scratch buffer that lives in the workspace."""
        offsets: dict[Tensor, int] = {}
        stack = end = 0
        for tensor in sorted(self.scratch, key=lambda t: t.nbytes):
            if stack + tensor.nbytes <= STACK_BYTES:
                stack += tensor.nbytes
            else:
                offsets[tensor] = end
                end += -(-tensor.nbytes // WORKSPACE_ALIGNMENT) * WORKSPACE_ALIGNMENT
        return offsets

    @property
    def workspace_bytes(self) -> int:
        """Bytes that the caller must give as one more buffer, after the outputs; 0: no such buffer."""
        return max((start + tensor.nbytes for tensor, start in self.workspace.items()), default=0)

    def __str__(self) -> str:
        head = f"{self.name}({', '.join(map(repr, self.inputs))}) -> {', '.join(map(repr, self.outputs))}"
        return "\n".join([head, *(f"  {line}" for line in self.body.lines())])


def statements(statement: Statement) -> Iterator[Statement]:
    """Every statement, parents first."""
    yield statement
    if isinstance(statement, Block):
        for inner in statement.body:
            yield from statements(inner)
    elif isinstance(statement, (For, Guard)):
        yield from statements(statement.body)
