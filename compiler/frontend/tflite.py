"""TFLite models into graphs: int8 as integer operators, float as the graph's float operators."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from ...errors import TilewrightError
from ..graph import Graph
from ..passes.shapes import infer_shapes
from .tflite_builder import Builder
from .tflite_file import read_tflite, sound
from .tflite_operators import convert

__all__ = ["DenseRounding", "import_tflite"]

DenseRounding = Literal["single", "double"]


def import_tflite(model: str | Path, *, dense_rounding: DenseRounding = "single") -> Graph:
    """Read a TFLite model, int8 or float.

    Images lie with channels first in the graph; what enters and leaves the model keeps TFLite's order.

    Parameters
    ----------
    dense_rounding
        How fully connected layers round: once as LiteRT's kernels do, or twice as TFLite Micro's.

    Raises
    ------
    TilewrightError
        The file is missing or damaged, or the model contradicts itself.
    UnsupportedOperator
        It has something that is not supported; the message names it and what would work.
    """
    if dense_rounding not in get_args(DenseRounding):
        raise TilewrightError(f"dense_rounding must be single or double, not {dense_rounding!r}")
    path = Path(model)
    read = read_tflite(path)
    with sound(path.stem):
        builder = Builder(read, single_rounding=dense_rounding == "single")
        for op in read.operators:
            convert(builder, op)
        graph = builder.graph()
    for name, value in infer_shapes(graph).values.items():
        stated = graph.values[name]
        if (stated.shape, stated.dtype) != (value.shape, value.dtype):
            raise TilewrightError(
                f"tensor {name!r} of model {path.stem} must be {value.dtype} {list(value.known_shape)}, "
                f"not {stated.dtype} {list(stated.known_shape)}"
            )
    return graph
