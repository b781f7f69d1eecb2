"""Shape and dtype of every value, and what follows from constants alone."""

from collections.abc import Sequence

import numpy as np

from ...errors import TilewrightError
from ..graph import Graph, Node, Value
from ..ops import find_operator
from ..ops.registry import refuse
from .folding import FoldingAllowance

__all__ = ["fold_shapes", "infer_shapes"]

_MOST_ELEMENTS = 1 << 31
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def infer_shapes(graph: Graph) -> Graph:
    """Ask every node's operator, in order.

    Raises
    ------
    UnsupportedOperator
        An operator is unknown, or refuses its arguments.
    """
    return _infer(graph, fold=False)


def fold_shapes(graph: Graph) -> Graph:
    """As :func:`infer_shapes`; on the way, nodes of constants are computed and drop out, and so do empty results."""
    return _infer(graph, fold=True)


def _infer(graph: Graph, *, fold: bool) -> Graph:
    values: dict[str, Value] = dict(graph.values)
    nodes, allowance = [], FoldingAllowance(graph)
    for node in graph.nodes:
        arguments = [values[name] if name else None for name in node.inputs]
        try:
            results = find_operator(node).infer(node, arguments)
        except _DAMAGE as error:
            raise refuse(
                node, f"its inputs and attributes must be complete and of the right kind ({error!r})"
            ) from error
        for name, result in zip(node.outputs, results, strict=True):
            if 0 in result.shape and not fold:
                raise refuse(node, f"its result must not be empty: {list(result.shape)}")
            elements = 1
            for size in result.shape:
                elements *= size
            if elements > _MOST_ELEMENTS:
                raise TilewrightError(
                    f"tensor {name!r} must have at most {_MOST_ELEMENTS} elements, not {list(result.shape)}"
                )
            values[name] = values[name].replace(shape=tuple(result.shape), dtype=result.dtype)
        if not fold or not _folded(node, arguments, values, allowance):
            nodes.append(node)
    return graph.edit(nodes=nodes, values=values.values())


def _folded(
    node: Node, arguments: Sequence[Value | None], values: dict[str, Value], allowance: FoldingAllowance
) -> bool:
    """Whether every result of `node` is known now; then `values` holds them."""
    shapes = {name: values[name].known_shape for name in node.outputs}
    known = find_operator(node).known(node, arguments)
    results: Sequence[np.ndarray]
    if known is not None:
        results = known
    elif all(0 in shape for shape in shapes.values()):
        results = [np.empty(values[name].known_shape, values[name].known_dtype) for name in node.outputs]
    elif all(value is None or value.data is not None for value in arguments) and allowance.covers(shapes.values()):
        computed = allowance.compute(node, [None if value is None else value.data for value in arguments])
        if computed is None:
            return False
        results = computed
    else:
        return False
    for name, data in zip(node.outputs, results, strict=False):
        values[name] = values[name].replace(data=data, shape=data.shape, dtype=data.dtype)
    return True
