"""``tilewright verify``"""

import sys
from pathlib import Path

import click

from ..config import load_config
from .devices import device_option
from .files import config_option, dense_rounding_option
from .golden import golden_options, read_samples, show_comparison

__all__ = ["verify"]

_DIFFERENT = 1


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@device_option("native")
@config_option
@golden_options
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
    from ..driver.golden import compare_samples
    from ..driver.session import Session

    chosen_samples = read_samples(golden, answers, samples)
    graph = import_model(model, dense_rounding=dense_rounding)  # type: ignore[arg-type]
    tap = softmax_input(graph)
    program = compile_graph(graph if tap is None else with_outputs(graph, tap), chosen)
    opened = open_device(device, chosen)
    try:
        session = Session(program, opened)
        compared = compare_samples(
            session, chosen_samples, outputs=len(graph.outputs), tap=tap, answers=answers, tolerance=tolerance
        )
        results = [show_comparison(comparison) for comparison in compared]
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
