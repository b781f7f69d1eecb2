"""Shape and dtype of every value."""

from ...errors import TilewrightError
from ..graph import Graph, Value
from ..ops import find_operator
from ..ops.registry import refuse

__all__ = ["infer_shapes"]

_MOST_ELEMENTS = 1 << 31


def infer_shapes(graph: Graph) -> Graph:
    """Ask every node's operator, in order.

    Raises
    ------
    UnsupportedOperator
        An operator is unknown, or refuses its arguments.
    """
    values: dict[str, Value] = dict(graph.values)
    for node in graph.nodes:
        arguments = [values[name] if name else None for name in node.inputs]
        try:
            results = find_operator(node).infer(node, arguments)
        except (AssertionError, IndexError, KeyError, TypeError, ValueError) as error:
            raise refuse(
                node, f"its inputs and attributes must be complete and of the right kind ({error!r})"
            ) from error
        for name, result in zip(node.outputs, results, strict=True):
            if 0 in result.shape:
                raise refuse(node, f"its result must not be empty: {list(result.shape)}")
            elements = 1
            for size in result.shape:
                elements *= size
            if elements > _MOST_ELEMENTS:
                raise TilewrightError(
                    f"tensor {name!r} must have at most {_MOST_ELEMENTS} elements, not {list(result.shape)}"
                )
            values[name] = values[name].replace(shape=tuple(result.shape), dtype=result.dtype)
    return graph.edit(values=values.values())
