"""``tilewright compile``"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..config import load_config
from ..errors import TilewrightError
from ..fpga.boards import BOARDS, boards_with_bitstreams
from .devices import memory_option
from .files import config_option, dense_rounding_option, out_option, read_arrays
from .graphs import dump_option
from .host_target import host_options
from .progress import stages
from .quantise import CalibrationOptions, calibration_options
from .tuning import TuningOptions, tuning_options
from .words import counted

if TYPE_CHECKING:
    from ..compiler.assemble import HostTarget
    from ..compiler.graph import Graph
    from ..compiler.passes.manager import Dump
    from ..isa.program import Program

__all__ = ["compile_model"]


@click.command(name="compile")
@click.argument("model", type=click.Path(path_type=Path))
@config_option
@out_option(True, "the program")
@click.option(
    "--target",
    type=click.Choice(["accelerator", "host"]),
    default="accelerator",
    show_default=True,
    help="The accelerator with this CPU beside it, or this CPU alone, for any ONNX model.",
)
@click.option("--shape", "shapes", multiple=True, metavar="NAME=1,3,8,8", help="Shape of an input (host alone).")
@click.option("--constants", type=click.Path(path_type=Path), help="npz file of inputs to fix (host alone).")
@calibration_options
@dump_option
@host_options
@dense_rounding_option
@tuning_options
@click.option("--board", type=click.Choice(boards_with_bitstreams()), help="Refuse what its memory can't hold.")
@memory_option(64)
@click.option(
    "--check/--no-check", default=True, show_default=True, help="Prove that tokens order all that meets in a memory."
)
def compile_model(
    model: Path,
    config: str,
    out: Path,
    target: str,
    shapes: tuple[str, ...],
    constants: Path | None,
    dump: "Dump | None",
    host: "HostTarget | None",
    dense_rounding: str,
    check: bool,
    tuning: TuningOptions,
    board: str | None,
    memory: int | None,
    **calibration: Any,
) -> None:
    """Compile MODEL to a program file.

    ONNX quantised as QDQ, or TFLite in int8; with --calibrate in floating point; with --target host any ONNX.
    """
    chosen, calibrated = load_config(config), CalibrationOptions(**calibration)
    calibrated.require_sense()
    _require_board(board)
    if target == "host":
        if calibrated.calibrate is not None:
            raise TilewrightError("--calibrate must go with --target accelerator: leave one of them out")
        tuning.require_default("--target accelerator")
        program = _for_host(model, shapes, constants, dump, host)
        program.save(out)
        click.echo(f"{out}: {len(program.layers)} layers for the host alone")
        return
    if shapes or constants:
        raise TilewrightError("--shape and --constants must go with --target host: add it, or leave them out")
    from ..compiler.compile import compile_graph, import_model

    graph = import_model(model, dense_rounding=dense_rounding)  # type: ignore[arg-type]
    if calibrated.calibrate is not None:
        graph = calibrated.apply(graph, chosen)
    shown = nullcontext(dump) if tuning.searches else _shown(model.name, dump)
    with tuning.tuner(model.name) as tuner, shown as seen:
        program = compile_graph(graph, chosen, host=host, dump=seen, check=check, scheduler=tuner)
    if board is not None:
        from ..fpga.board_system import board_system, require_room

        require_room(program, BOARDS[board], board_system(BOARDS[board], memory_bytes=memory))
    program.save(out)
    layers = counted(len(program.layers), "layer")
    if not len(program.instructions):
        click.echo(
            f"{out}: {layers}, all for the host; to put a model in floating point on the accelerator, quantise it with "
            "--calibrate FILE.npz"
        )
        return
    accelerated = sum(layer.macs for layer in program.layers if layer.target == "accelerator")
    total = sum(layer.macs for layer in program.layers) or 1
    click.echo(
        f"{out}: {layers}, {counted(len(program.instructions), 'instruction')} for {chosen.name}, "
        f"{accelerated / total:.0%} of {total:,} MACs on the accelerator"
    )
    if tuner is not None and tuner.entry is not None:
        entry = tuner.entry
        click.echo(
            f"tuned: {entry.cycles:,} cycles instead of {entry.heuristic:,} by heuristics, {entry.gain:.1%} fewer"
        )


def _require_board(board: str | None) -> None:
    given = click.get_current_context().get_parameter_source("memory")
    if board is None and given is not ParameterSource.DEFAULT:
        raise TilewrightError("--memory must go with --board: add it, or leave it out")


@contextmanager
def _shown(name: str, dump: "Dump | None") -> "Iterator[Dump]":
    """`dump`, and the terminal sees how far compiling has come."""
    with stages(f"compiling {name}") as tell:

        def seen(stage: str, graph: "Graph") -> None:
            tell(f"after {stage}")
            if dump is not None:
                dump(stage, graph)

        yield seen


def _for_host(
    model: Path, shapes: tuple[str, ...], constants: Path | None, dump: "Dump | None", host: "HostTarget | None"
) -> "Program":
    known: dict[str, Any] = dict(_shape(text) for text in shapes)
    known.update({} if constants is None else read_arrays(constants))
    from ..compiler.compile_host import compile_for_host

    return compile_for_host(model, inputs=known, host=host, dump=dump)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise TilewrightError(f"--shape must be a name and sizes such as input=1,3,224,224, not {text!r}")
    return name, shape
