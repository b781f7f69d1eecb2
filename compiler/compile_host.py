"""From any ONNX or int8 TFLite model to a program for a CPU alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import load_config
from ..errors import TilewrightError
from ..isa.program import Program
from .assemble import HostTarget, assemble
from .compile import import_model, is_tflite
from .graph import Graph
from .passes.manager import Dump, run_passes
from .pipeline import host_passes
from .storable import require_storable

if TYPE_CHECKING:
    import onnx

__all__ = ["compile_for_host"]

_CONFIG = "vta-16"  # programs name a configuration; without instructions it says nothing


def compile_for_host(
    model: str | Path | onnx.ModelProto,
    *,
    inputs: Mapping[str, Any] | None = None,
    host: HostTarget | None = None,
    dump: Dump | None = None,
) -> Program:
    """Compile any ONNX model, or an int8 TFLite one, for a CPU alone: a program without instructions or device.

    Parameters
    ----------
    inputs
        Shapes (tuples) and constants (arrays) of inputs, by name; see :func:`.frontend.onnx.import_onnx`.
    host
        Whom the code is for: this machine unless given.
    dump
        Called with a name and the graph: as imported, and after each pass.

    Raises
    ------
    TilewrightError
        The model is broken.
    UnsupportedOperator
        It holds an operator that the compiler lacks; the message names it, and the attribute or type in question.
    """
    lowered = run_passes(_imported(model, inputs), host_passes(), dump=dump)
    require_storable(lowered)
    return assemble(lowered, load_config(_CONFIG), host or HostTarget())


def _imported(model: str | Path | onnx.ModelProto, inputs: Mapping[str, Any] | None) -> Graph:
    if is_tflite(model):
        if inputs:
            raise TilewrightError("a TFLite model states its inputs' shapes itself: leave shapes and constants out")
        return import_model(model)
    from .frontend.onnx import import_onnx  # onnx is heavy, and a graph needs none of it

    return import_onnx(model, inputs=inputs)
