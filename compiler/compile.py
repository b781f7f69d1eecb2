"""From a model to a program: the compiler's front door."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from ..config import Config
from ..errors import ProgramError, TilewrightError
from ..isa.program import Program
from ..isa.races import require_race_free
from .assemble import HostTarget, assemble
from .graph import Graph
from .passes.manager import Dump, run_passes
from .pipeline import passes_for
from .schedule.decision import Schedule
from .storable import require_storable

Scheduler = Callable[[Graph, Config], Schedule]

if TYPE_CHECKING:
    import onnx

    from .frontend.tflite import DenseRounding

__all__ = ["Scheduler", "compile_graph", "compile_model", "import_model", "is_tflite"]


def import_model(model: str | Path | onnx.ModelProto, *, dense_rounding: DenseRounding = "single") -> Graph:
    """The graph of a model as its file has it: TFLite where its name ends in ``.tflite``, else ONNX.

    See :func:`.frontend.tflite.import_tflite`, for `dense_rounding` too, and :func:`.frontend.onnx.import_onnx`.
    """
    if isinstance(model, str | Path) and Path(model).suffix == ".tw":
        raise TilewrightError(
            f"model {model} must be an ONNX or TFLite file, not a compiled program; take the model it was made from, "
            f"or 'tilewright disassemble' to see the program"
        )
    if is_tflite(model):
        from .frontend.tflite import import_tflite  # each library is needed for its own models only

        return import_tflite(model, dense_rounding=dense_rounding)
    from .frontend.onnx import import_onnx

    return import_onnx(model)


def is_tflite(model: str | Path | onnx.ModelProto) -> TypeGuard[str | Path]:
    """Whether `model` is a file whose name says that it is TFLite's."""
    return isinstance(model, str | Path) and Path(model).suffix.lower() == ".tflite"


def compile_graph(
    graph: Graph,
    config: Config,
    *,
    host: HostTarget | None = None,
    accelerate: bool = True,
    dump: Dump | None = None,
    check: bool = True,
    scheduler: Scheduler | None = None,
) -> Program:
    """As :func:`compile_model`, from a graph."""
    lowered = run_passes(graph, passes_for(config, accelerate=accelerate), dump=dump)
    require_storable(lowered)
    schedule = None if scheduler is None else scheduler(lowered, config)
    program = assemble(lowered, config, host or HostTarget(), schedule)
    if not check:
        return program
    _require_race_free(program)
    return replace(program, race_free=True)


def _require_race_free(program: Program) -> None:
    try:
        require_race_free(program)
    except ProgramError as error:
        raise ProgramError(
            f"the compiled program must have no races, but {error}; this is a mistake in the compiler, "
            "worth reporting (check=False or --no-check compiles it as it is)"
        ) from None


def compile_model(
    model: str | Path | onnx.ModelProto,
    config: Config,
    *,
    host: HostTarget | None = None,
    accelerate: bool = True,
    dump: Dump | None = None,
    dense_rounding: DenseRounding = "single",
    check: bool = True,
    scheduler: Scheduler | None = None,
) -> Program:
    """Compile a quantised model: ONNX (QDQ) or TFLite (int8).

    Parameters
    ----------
    model
        A file, or a model that is loaded already.
    host
        Whom the host code is for: this machine unless given.
    accelerate
        Whether the accelerator is used at all.
    dump
        Called with a name and the graph: as imported, and after each pass.
    dense_rounding
        How a TFLite model's fully connected layers round: once (LiteRT) or twice, ``"double"`` (TFLite Micro).
    check
        Prove that the program has no races: a twentieth of the time.
    scheduler
        Lays down schedules for the lowered graph, such as :class:`.tuning.Tuner`; by default all is heuristic.

    Raises
    ------
    TilewrightError
        The model is broken, or does not fit the configuration, or the compiler made a mistake.
    UnsupportedOperator
        An operator can run nowhere; the message names it and what would work.
    """
    graph = import_model(model, dense_rounding=dense_rounding)
    return compile_graph(graph, config, host=host, accelerate=accelerate, dump=dump, check=check, scheduler=scheduler)
