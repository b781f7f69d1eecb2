"""From a model to a program: the compiler's front door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Config
from ..isa.program import Program
from .assemble import HostTarget, assemble
from .graph import Graph
from .passes.manager import Dump, run_passes
from .pipeline import passes_for

if TYPE_CHECKING:
    import onnx

__all__ = ["compile_graph", "compile_model", "import_model"]


def import_model(model: str | Path | onnx.ModelProto) -> Graph:
    """The graph of a model as its file has it; see :func:`.frontend.onnx.import_onnx`."""
    from .frontend.onnx import import_onnx  # onnx is heavy, and a graph needs none of it

    return import_onnx(model)


def compile_graph(
    graph: Graph, config: Config, *, host: HostTarget | None = None, accelerate: bool = True, dump: Dump | None = None
) -> Program:
    """As :func:`compile_model`, from a graph."""
    lowered = run_passes(graph, passes_for(config, accelerate=accelerate), dump=dump)
    return assemble(lowered, config, host or HostTarget())


def compile_model(
    model: str | Path | onnx.ModelProto,
    config: Config,
    *,
    host: HostTarget | None = None,
    accelerate: bool = True,
    dump: Dump | None = None,
) -> Program:
    """Compile a quantised (QDQ) ONNX model.

    Parameters
    ----------
    model
        A file, or a model that is loaded already.
    host
        Whom the host code is for: this machine unless given.
    accelerate
        Whether the accelerator is used at all.
    dump
        Called with a name and the graph after each pass.

    Raises
    ------
    TilewrightError
        The model is broken, or does not fit the configuration.
    UnsupportedOperator
        An operator can run nowhere; the message names it and what would work.
    """
    return compile_graph(import_model(model), config, host=host, accelerate=accelerate, dump=dump)
