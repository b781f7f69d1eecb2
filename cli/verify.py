"""``tilewright verify``"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load_config
from ..driver.device import DEVICES
from ..errors import ProgramError
from .files import config_option, dense_rounding_option, read_arrays

if TYPE_CHECKING:
    from ..driver.golden import Comparison

__all__ = ["verify"]

_DIFFERENT = 1


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--golden", "-g", type=click.Path(path_type=Path), required=True, help="npz file of inputs and answers.")
@click.option("--device", "-d", type=click.Choice(list(DEVICES)), default="native", show_default=True)
@config_option
@click.option("--tolerance", type=click.FloatRange(0), default=0.0, show_default=True, help="Difference allowed.")
@click.option("--answers", default="out", show_default=True, help="Which of the file's answers: NAME_k_i.")
@click.option("--samples", type=click.IntRange(1), help="Only the first so many; all by default.")
@dense_rounding_option
def verify(
    model: Path,
    golden: Path,
    device: str,
    config: str,
    tolerance: float,
    answers: str,
    samples: int | None,
    dense_rounding: str,
) -> None:
    """Run MODEL on every sample of a file (in_k_i, out_k_i, tap_k_0) and compare; exit status 1 on a difference."""
    chosen = load_config(config)
    from ..compiler.compile import compile_graph, import_model
    from ..compiler.taps import softmax_input, with_outputs
    from ..driver.device import open_device
    from ..driver.golden import compare_samples, golden_samples
    from ..driver.session import Session

    try:
        chosen_samples = golden_samples(read_arrays(golden), answers=answers)[:samples]
    except ProgramError as error:
        raise ProgramError(f"{golden.name}: {error}") from None
    graph = import_model(model, dense_rounding=dense_rounding)  # type: ignore[arg-type]
    tap = softmax_input(graph)
    program = compile_graph(graph if tap is None else with_outputs(graph, tap), chosen)
    opened = open_device(device, chosen)
    try:
        session = Session(program, opened)
        compared = compare_samples(
            session, chosen_samples, outputs=len(graph.outputs), tap=tap, answers=answers, tolerance=tolerance
        )
        results = [_shown(comparison) for comparison in compared]
    finally:
        opened.close()
    differing = sum(comparison.differing > 0 for comparison in results)
    verdict = "all equal" if not tolerance else f"all within {tolerance:g}"
    if differing:
        verdict = f"{differing} of them differ"
    click.echo(
        f"{model.name} on {device} ({chosen.name}): {len(results)} tensors of {len(chosen_samples)} samples, {verdict}"
    )
    if differing:
        sys.exit(_DIFFERENT)


def _shown(comparison: "Comparison") -> "Comparison":
    click.echo(
        f"{comparison.key} ({comparison.sample.name}): {comparison.differing} of {comparison.elements} elements "
        f"differ, by at most {comparison.largest:g}"
    )
    return comparison
