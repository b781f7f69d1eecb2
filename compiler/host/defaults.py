"""The schedule that a host operator gets when nobody chose a better one."""

from __future__ import annotations

from collections.abc import Sequence

from ..te.analysis import flat_index, loads, stride_along, walk
from ..te.expr import Axis, Binary, Math
from ..te.schedule import Schedule, Stage
from ..te.tensor import Tensor

__all__ = ["default_schedule"]

_DEEPEST = 24  # stages inlined into one another; expressions are walked recursively


def default_schedule(outputs: Sequence[Tensor], lanes: int = 16) -> Schedule:
    """Elementwise stages are computed where they are read, the innermost data loop is a vector loop.

    A stage that several others read keeps memory of its own, and so does a costly one that a reduction reads.
    A reduction whose operands all run on with the innermost data axis keeps that axis innermost, so that neighbouring
    results are computed side by side in unchanged order.
    """
    schedule = Schedule(outputs)
    readers: dict[Tensor, list[Tensor]] = {}
    for tensor in schedule.stages:
        for producer in tensor.producers:
            readers.setdefault(producer, []).append(tensor)
    depths = dict.fromkeys(schedule.stages, 1)
    for tensor, stage in schedule.stages.items():
        if stage.reduce_axes or tensor in schedule.outputs or len(readers[tensor]) > 1:
            continue
        if depths[tensor] <= _DEEPEST and not (readers[tensor][0].reduce_axes and _costly(tensor)):
            stage.inline()
            depths[readers[tensor][0]] += depths[tensor]
    _join_rows(schedule, readers)
    for stage in schedule.stages.values():
        if not stage.inlined:
            holds = any(other.attached and other.attached[0] is stage.tensor for other in schedule.stages.values())
            _vectorize(stage, lanes, fusible=not holds and stage.attached is None)
    return schedule


def _costly(tensor: Tensor) -> bool:
    """Whether an element takes so long that a reduction must not compute it again for each of its results."""
    assert tensor.body is not None
    return any(isinstance(node, Math) or (isinstance(node, Binary) and node.op == "div") for node in walk(tensor.body))


def _join_rows(schedule: Schedule, readers: dict[Tensor, list[Tensor]]) -> None:
    """Stages of few elements between rows of the output (as in softmax) are computed row by row."""
    if len(schedule.outputs) != 1:
        return
    output = schedule[schedule.outputs[0]]
    if len(output.leaves) < 2 or output.reduce_axes:
        return
    row = output.leaves[-2]
    inner = [stage for stage in schedule.stages.values() if not stage.inlined and stage is not output]
    shared = output.tensor.shape[: len(output.axes) - 1]
    if any(stage.tensor.shape[: len(shared)] != shared or not _by_row(stage, len(shared)) for stage in inner):
        return
    if _by_row(output, len(shared), only={stage.tensor for stage in inner}):
        for stage in inner:
            stage.compute_at(output, row)


def _by_row(stage: Stage, depth: int, only: set[Tensor] | None = None) -> bool:
    """Whether the stage reads computed tensors at its own leading indices alone."""
    assert stage.tensor.body is not None
    for load in loads(stage.tensor.body):
        if load.tensor.body is None or (only is not None and load.tensor not in only):
            continue
        if load.indices[:depth] != stage.axes[:depth]:
            return False
    return True


def _vectorize(stage: Stage, lanes: int, *, fusible: bool) -> None:
    if not stage.axes or stage.axes[-1].extent < 2:
        return
    inner = stage.axes[-1]
    if stage.reduce_axes:
        if not _runs_along(stage, inner):
            return
        stage.reorder(*[axis for axis in stage.leaves if axis is not inner], inner)
    elif fusible and inner.extent % lanes and _contiguous(stage):
        while len(stage.leaves) > 1:
            stage.fuse(*stage.leaves[-2:])
    stage.vectorize(stage.leaves[-1], lanes)


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
