"""Any function of one quantised element: a table of its 256 results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import te
from ..graph import Node, Value
from ..output import Output
from ..schedule.elementwise import Rescale, schedule_rescale
from ..schedule.scope import TABLE_ENTRIES, Scope
from .registry import Arrays, Operator, Signature, operator
from .site import Lowered, Site

__all__ = ["tabulated"]


def tabulated(site: Site, function: Operator) -> Lowered | None:
    """The table of `function`, the site's operator, where all operands but one are constants of one element."""
    computed = [place for place, operand in enumerate(site.operands) if operand is not None and operand.data is None]
    constants = [operand.data for operand in site.operands if operand is not None and operand.data is not None]
    if len(computed) != 1 or any(data.size != 1 for data in constants):
        return None
    data, x = site.activation(computed[0])
    if data.shape != site.shape:
        return None
    reals = (np.arange(-128, 128) - x.zero_point).astype(np.float32) * np.float32(x.scale)
    arguments = [None if operand is None else _argument(operand.real, reals) for operand in site.operands]
    with np.errstate(all="ignore"):
        results = function.reference(site.node, arguments)[0] / np.float32(site.output.scale)
        steps = np.rint(np.nan_to_num(results.astype(np.float64), nan=-np.inf)) + site.output.zero_point
    table = np.clip(steps, site.minimum, site.maximum).astype(np.int8)
    return Lowered("qtable", (data.name, table), {})


def _argument(real: np.ndarray | None, reals: np.ndarray) -> np.ndarray:
    return reals if real is None else real.reshape(-1).astype(np.float32)


@operator("qtable")
class QuantisedTable(Operator):
    """int8 → int8: the element x of the table (256,) is at x + 128."""

    accelerated = True

    def infer(self, node: Node, arguments: Sequence[Value | None]) -> list[Signature]:
        assert arguments[0] is not None
        return [Signature(arguments[0].known_shape, np.dtype(np.int8))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        data, table = arguments
        assert data is not None and table is not None
        return [Output(table=table).apply(data.astype(np.int64))]

    def expression(self, node: Node, arguments: Sequence[te.Tensor | None]) -> list[te.Tensor]:
        data, table = arguments
        assert data is not None and table is not None
        return [te.compute(data.shape, lambda *index: table[data[index].astype("int64") + TABLE_ENTRIES // 2])]

    def schedule(self, node: Node, scope: Scope) -> None:
        x, y = scope.tensors[node.inputs[0]], scope.tensors[node.outputs[0]]
        schedule_rescale(scope, Rescale(x, y, None, 0, Output(table=scope.constant_data(node.inputs[1]))))
