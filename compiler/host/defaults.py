"""The schedule that a host operator gets when nobody chose a better one."""

from __future__ import annotations

from collections.abc import Sequence

from ..te.analysis import flat_index, loads, stride_along, walk
from ..te.expr import Axis, Binary, Expr, Load, Math
from ..te.schedule import Schedule, Stage
from ..te.tensor import Tensor

__all__ = ["default_schedule"]

_DEEPEST = 24  # stages inlined into one another; expressions are walked recursively
_REPEATED = 2  # results for each element of a costly stage from which on it is computed once, and kept
_LARGEST = 1 << 11  # nodes of an expression, those that it holds more than once counted as often


def default_schedule(outputs: Sequence[Tensor], lanes: int = 16) -> Schedule:
    """Elementwise stages are computed where they are read, the innermost data loop is a vector loop.

    A stage that several others read keeps memory of its own, and so do a costly one that a reduction reads and one
    that says so (``kept``).
    A reduction whose operands all run on with the innermost data axis keeps that axis innermost, so that neighbouring
    results are computed side by side in unchanged order.
    """
    schedule = Schedule(outputs)
    readers: dict[Tensor, list[Tensor]] = {}
    for tensor in schedule.stages:
        for producer in tensor.producers:
            readers.setdefault(producer, []).append(tensor)
    _inline(schedule, readers)
    _join_rows(schedule)
    for stage in schedule.stages.values():
        if not stage.inlined:
            holds = any(other.attached and other.attached[0] is stage.tensor for other in schedule.stages.values())
            _vectorize(stage, lanes, fusible=not holds and stage.attached is None)
    return schedule


def _inline(schedule: Schedule, readers: dict[Tensor, list[Tensor]]) -> None:
    depths = dict.fromkeys(schedule.stages, 1)
    sizes = {tensor: _tree_size(tensor) for tensor in schedule.stages}
    costly = {tensor: _costly(tensor) for tensor in schedule.stages}
    for tensor, stage in schedule.stages.items():
        if stage.reduce_axes or tensor.kept or tensor in schedule.outputs or len(readers[tensor]) > 1:
            continue
        (reader,) = readers[tensor]
        size = sizes[reader] + _tree_size(reader, only=tensor) * sizes[tensor]
        repeated = reader.reduce_axes or reader.size > _REPEATED * tensor.size
        if depths[tensor] <= _DEEPEST and size <= _LARGEST and not (repeated and costly[tensor]):
            stage.inline()
            sizes[reader] = size
            depths[reader] += depths[tensor]
            costly[reader] |= costly[tensor]


def _tree_size(tensor: Tensor, only: Tensor | None = None) -> int:
    """Nodes of its expression written out, or how often it loads from `only`."""
    done: dict[int, int] = {}

    def count(node: Expr) -> int:
        if id(node) not in done:
            own = only is None or (isinstance(node, Load) and node.tensor is only)
            done[id(node)] = own + sum(count(child) for child in node.children)
        return done[id(node)]

    assert tensor.body is not None
    return count(tensor.body)


def _costly(tensor: Tensor) -> bool:
    """Whether an element takes so long that a reduction must not compute it again for each of its results."""
    assert tensor.body is not None
    return any(isinstance(node, Math) or (isinstance(node, Binary) and node.op == "div") for node in walk(tensor.body))


def _join_rows(schedule: Schedule) -> None:
    """Stages that need no other row of anything (as in softmax) are computed row by row."""
    output = schedule[schedule.outputs[0]]
    if len(schedule.outputs) > 1 or len(output.leaves) < 2 or output.reduce_axes:
        return
    inner = [stage for stage in schedule.stages.values() if not stage.inlined and stage is not output]
    rows = output.tensor.shape[:-1]
    if all(
        stage.tensor.shape[: len(rows)] == rows and _by_row(schedule, stage, len(rows)) for stage in (*inner, output)
    ):
        for stage in inner:
            stage.compute_at(output, output.leaves[-2])


def _by_row(schedule: Schedule, stage: Stage, depth: int) -> bool:
    """Whether the stage, and what is inlined in it, reads computed tensors at its own leading indices alone."""
    assert stage.tensor.body is not None
    for load in loads(stage.tensor.body):
        producer = schedule.stages.get(load.tensor)
        if producer is None:
            continue
        if load.indices[:depth] != stage.axes[:depth]:
            return False
        if producer.inlined and not _by_row(schedule, producer, depth):
            return False
    return True


def _vectorize(stage: Stage, lanes: int, *, fusible: bool) -> None:
    if _transposes(stage, lanes):
        stage.reorder(stage.axes[-1], stage.axes[-2])
    elif not stage.axes or stage.axes[-1].extent < 2:
        return
    inner = stage.leaves[-1 - len(stage.reduce_axes)]
    if stage.reduce_axes:
        if not _runs_along(stage, inner):
            return
        stage.reorder(*[axis for axis in stage.leaves if axis is not inner], inner)
    elif fusible and inner.extent % lanes and _contiguous(stage):
        while len(stage.leaves) > 1:
            stage.fuse(*stage.leaves[-2:])
    stage.vectorize(stage.leaves[-1], lanes)


def _transposes(stage: Stage, lanes: int) -> bool:
    """Whether it turns long runs into few neighbouring elements, as from planes to pixels of three channels."""
    if stage.reduce_axes or len(stage.axes) < 2 or not stage.axes[-1].extent < lanes <= stage.axes[-2].extent:
        return False
    return _runs_along(stage, stage.axes[-2]) and not _runs_along(stage, stage.axes[-1])


def _runs_along(stage: Stage, inner: Axis) -> bool:
    assert stage.tensor.body is not None
    flats = [flat_index(load.tensor.shape, load.indices) for load in loads(stage.tensor.body)]
    return all(stride_along(flat, inner) in (0, 1) for flat in flats)


def _contiguous(stage: Stage) -> bool:
    """Whether everything is read in the order in which it is written, so that one long loop does."""
    assert stage.tensor.body is not None
    return all(
        load.tensor.size == 1 or (load.tensor.shape == stage.tensor.shape and load.indices == stage.axes)
        for load in loads(stage.tensor.body)
    )
