"""How much is computed while compiling: a small file must not ask for the world."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np

from ...errors import UnsupportedOperator
from ..graph import Graph, Node
from ..ops import find_operator

__all__ = ["FoldingAllowance"]

_LEAST = 1 << 22
_TIMES = 16


class FoldingAllowance:
    """Elements that may still be made from constants: some millions, or a multiple of those that the model has.

    What goes beyond is computed when the program runs.
    """

    def __init__(self, graph: Graph) -> None:
        given = sum(value.data.size for value in graph.values.values() if value.data is not None)
        self.left = max(_LEAST, _TIMES * given)

    def covers(self, shapes: Iterable[tuple[int, ...]]) -> bool:
        """Whether results of `shapes` may be made; then they count as made."""
        count = sum(prod(shape) for shape in shapes)
        if count > self.left:
            return False
        self.left -= count
        return True

    def compute(self, node: Node, arguments: Sequence[np.ndarray | None]) -> list[np.ndarray] | None:
        """The results of `node`; None where only the finished program can compute them."""
        try:
            with np.errstate(all="ignore"):
                return find_operator(node).reference(node, arguments)
        except UnsupportedOperator:
            return None
