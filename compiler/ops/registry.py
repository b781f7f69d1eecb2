"""What an operator is, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...errors import UnsupportedOperator
from ..graph import Node, Value

if TYPE_CHECKING:
    from ...config import Config
    from .. import te
    from ..schedule.resident import Reading
    from ..schedule.scope import Scope
    from .site import Lowered, Site

__all__ = [
    "Operator", "Signature", "find_operator", "is_known", "needed_constants", "operator", "reason_of", "refuse",
    "shown_name",
]  # fmt: skip

Arrays = Sequence[np.ndarray | None]


@dataclass(frozen=True)
class Signature:
    """Shape and dtype of a result."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def refuse(node: Node, what: str) -> UnsupportedOperator:
    """The error that says what of `node` is not supported and what would be."""
    return UnsupportedOperator(f"{_whose(node)}{what}")


def reason_of(node: Node, error: UnsupportedOperator) -> str:
    """What :func:`refuse` was told."""
    return str(error).removeprefix(_whose(node))


def _whose(node: Node) -> str:
    return f"operator {node.operator} (node {node.name!r}): "


class Operator:
    """One operator: subclass it, override what it has, and register it with :func:`operator`.

    Members
    -------
    accelerated
        Whether :meth:`schedule` puts it on the accelerator.
    parameters
        Places of inputs that must be constants, mostly since shapes follow from them.
    blocked_constants
        Whether constants among the inputs lie in memory as activations do.
    """

    accelerated = False
    blocked_constants = False
    parameters: tuple[int, ...] = ()

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        """Shapes and dtypes of the results from those of the arguments."""
        raise NotImplementedError

    def known(self, node: Node, arguments: Sequence[Value | None]) -> list[np.ndarray] | None:
        """The results where shapes alone tell them."""
        return None

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        """The results, by NumPy: what the operator means."""
        raise refuse(node, "it has no meaning of its own outside a quantised model")

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        """The results as tensor expressions, for the host."""
        raise refuse(node, "it can't run on the host; quantise its inputs, weights and output (QDQ)")

    def quantise(self, site: Site) -> Lowered | None:
        """The integer operator that replaces it between DequantizeLinear and QuantizeLinear, if there is one."""
        return None

    def schedule(self, node: Node, scope: Scope) -> None:
        """Put its work on the accelerator."""
        raise refuse(node, "it can't run on the accelerator")

    def reading(self, node: Node, arguments: Sequence[Value | None], place: int, config: Config) -> Reading:
        """How it reads the argument at `place` on the accelerator: element by element, unless it says otherwise."""
        from ..schedule.resident import Reading

        return Reading()

    def act_constants(self, node: Node, arguments: Sequence[Value | None], config: Config) -> tuple[int, int]:
        """Granules of ACT for constants on the accelerator: of the whole layer, and of the least part that works."""
        return 0, 0

    def macs(self, node: Node, arguments: Sequence[Value | None], results: Sequence[Value]) -> int:
        """Multiply-accumulates."""
        return 0


_OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[type[Operator]], type[Operator]]:
    """Register the decorated class under `names`."""

    def register(cls: type[Operator]) -> type[Operator]:
        for name in names:
            if name in _OPERATORS:
                raise TypeError(f"operator {name} is registered twice")
            _OPERATORS[name] = cls()
        return cls

    return register


def is_known(name: str) -> bool:
    """Whether there is an operator of that name."""
    return name in _OPERATORS


class NodeLike(Protocol):
    """A node of a graph or of a model's file."""

    @property
    def input(self) -> Sequence[str]: ...

    @property
    def output(self) -> Sequence[str]: ...

    @property
    def op_type(self) -> str: ...


def shown_name(node: Node) -> str:
    """What tables call the operator of `node`: variants of one that the accelerator runs have one name."""
    name = node.operator.removeprefix("q")
    return name.partition("_")[0] if node.target == "accelerator" else name


def needed_constants(nodes: Sequence[NodeLike]) -> set[str]:
    """The values that must be constants for all shapes to be known, with those that they are computed from."""
    producers = {name: node for node in nodes for name in node.output}
    pending = [
        node.input[place]
        for node in nodes
        if node.op_type in _OPERATORS
        for place in _OPERATORS[node.op_type].parameters
        if place < len(node.input)
    ]
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name and name not in needed:
            needed.add(name)
            if name in producers and producers[name].op_type not in _OF_SHAPES:
                pending.extend(producers[name].input)
    return needed


_OF_SHAPES = ("Shape", "Size")


def find_operator(node: Node) -> Operator:
    """The operator of `node`.

    Raises
    ------
    UnsupportedOperator
        There is none of that name; the message names those spelt alike and where all are listed.
    """
    found = _OPERATORS.get(node.operator)
    if found is None:
        known = [name for name in _OPERATORS if name[0].isupper()]
        alike = get_close_matches(node.operator, known)
        near = f" ({', '.join(alike)} would be)" if alike else ""
        raise UnsupportedOperator(
            f"operator {node.operator} (node {node.name!r}) is not supported{near}: "
            f"docs/onnx-support.md tells what is, use other operators or run that part elsewhere"
        )
    return found
