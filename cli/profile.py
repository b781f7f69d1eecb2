"""``tilewright profile``"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load_config
from ..driver.device import CYCLE_DEVICES
from ..errors import TilewrightError
from .devices import device_option
from .files import dense_rounding_option, out_option, read_arrays, write_text
from .roofline import draw_roofline, require_picture
from .running import Interrupted, run_program, show_finished, until_option
from .tuning import TuningOptions, tuning_options

if TYPE_CHECKING:
    import numpy as np

    from ..driver.session import StepRecord
    from ..isa.program import Program

__all__ = ["profile"]

_TIMING = "timing"
_PROGRAM_SUFFIX = ".tw"
_DEFAULT_CONFIG = "vta-16"
_LATENCY = 40


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--config", "-c", help=f"A preset or a TOML file; for a model {_DEFAULT_CONFIG} by default.")
@device_option("cycle")
@click.option("--inputs", "-i", type=click.Path(path_type=Path), help="npz file, an array an input; else zeros.")
@click.option(
    "--latency", type=click.IntRange(1, 1_000_000), default=_LATENCY, show_default=True, help="Of DRAM, in cycles."
)
@until_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@out_option(False, "the table as CSV", "--csv")
@out_option(False, "a timeline as JSON, for ui.perfetto.dev or about:tracing", "--trace")
@out_option(False, "a roofline picture, .png or .svg", "--roofline")
@dense_rounding_option
@tuning_options
def profile(
    model: Path,
    config: str | None,
    device: str,
    inputs: Path | None,
    latency: int,
    as_json: bool,
    csv: Path | None,
    trace: Path | None,
    roofline: Path | None,
    dense_rounding: str,
    until: str | None,
    tuning: TuningOptions,
) -> None:
    """Say what each layer of MODEL, a model or a compiled program (.tw), takes, and what bound it.

    Cycles of layers add up to the run's. `ideal` is the least that multipliers or bus allow; `used` the share of the
    multipliers' cycles that did a multiplication; `bound` says what the cycles went to: gemm, vector, load or store;
    bank, waiting for on-chip memory; token, engines waiting for one another.
    """
    if roofline is not None:
        require_picture(roofline)
    arrays = None if inputs is None else read_arrays(inputs)
    program = _program(model, config, dense_rounding, tuning)
    if until is not None:
        from ..isa.until import ended_after, find_layer

        program = ended_after(program, find_layer(program, until))
    try:
        records = _records(program, device, arrays, latency)
    except Interrupted as stop:
        show_finished(stop, device, None)
        raise
    from .report import layers_csv, layers_json, print_layers

    if csv is not None:
        write_text(csv, layers_csv(program, records))
    if trace is not None:
        from ..driver.timeline import timeline

        write_text(trace, json.dumps(timeline(program, records), separators=(",", ":")))
    if roofline is not None:
        from ..driver.layers import layer_reports

        title = f"{model.name} on {program.config.name}"
        draw_roofline(roofline, program.config, layer_reports(program, records), title)
    if as_json:
        click.echo(json.dumps({"model": model.name, "device": device, **layers_json(program, records)}, indent=1))
    else:
        print_layers(program, records, device)


def _program(path: Path, config: str | None, dense_rounding: str, tuning: TuningOptions) -> "Program":
    """`path` compiled, or loaded where it is a program already."""
    if path.suffix.lower() == _PROGRAM_SUFFIX:
        from .program import load_to_run

        tuning.require_default("a model, not a program")
        program = load_to_run(path, config, check=True)
    else:
        chosen = load_config(config or _DEFAULT_CONFIG)
        from ..compiler.compile import compile_model

        with tuning.tuner(path.name) as tuner:
            program = compile_model(path, chosen, dense_rounding=dense_rounding, scheduler=tuner)  # type: ignore[arg-type]
    if not len(program.instructions):
        raise TilewrightError(f"{path.name} must have a layer on the accelerator to be measured there, and has none")
    return program


def _records(
    program: "Program", device: str, arrays: "dict[str, np.ndarray] | None", latency: int
) -> "Sequence[StepRecord]":
    if device == _TIMING:
        from ..explore.records import timed_records

        return timed_records(program, latency=latency)
    import numpy as np

    given = {t.name: np.zeros(t.shape, t.dtype) for t in program.inputs} if arrays is None else arrays
    options = {"latency": latency, "trace": True} if device in CYCLE_DEVICES else {}
    return run_program(program, device, given, options, latency=latency, traced=True)[1]
