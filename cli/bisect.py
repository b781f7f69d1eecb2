"""``tilewright bisect``"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import load_config
from .files import config_option, dense_rounding_option
from .golden import golden_options, read_samples
from .graphs import chosen_passes, passes_option

if TYPE_CHECKING:
    from ..compiler.graph import Graph

__all__ = ["bisect"]

_FOUND = 1


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@config_option
@passes_option
@golden_options
@dense_rounding_option
def bisect(
    model: Path,
    config: str,
    target: str,
    golden: Path,
    tolerance: float,
    answers: str,
    samples: int | None,
    dense_rounding: str,
) -> None:
    """Find the compiler's first pass after which MODEL's graph, evaluated with NumPy, misses the answers of a file.

    Exit status 1 where there is one.
    """
    chosen = load_config(config)
    import numpy as np

    from ..compiler.bisection import first_wrong_stage
    from ..compiler.compile import import_model
    from ..compiler.reference import evaluate
    from ..compiler.taps import softmax_input, with_outputs
    from ..driver.golden import compare_runs

    recorded = read_samples(golden, answers, samples)
    imported = import_model(model, dense_rounding=dense_rounding)  # type: ignore[arg-type]
    tap = softmax_input(imported)
    whole = imported if tap is None else with_outputs(imported, tap)
    inputs, outputs = imported.inputs, imported.outputs

    def agrees(stage: str, graph: "Graph") -> bool:
        compared = compare_runs(
            lambda given: evaluate(graph, given),
            recorded,
            inputs=inputs, outputs=outputs, tap=tap, answers=answers, tolerance=tolerance,
        )  # fmt: skip
        with np.errstate(all="ignore"):
            first = next((comparison for comparison in compared if comparison.differing), None)
        told = "equal" if first is None else f"{first.differing} of {first.elements} elements of {first.key} differ"
        click.echo(f"{stage}: {told}" + ("" if first is None else f", by at most {first.largest:g}"))
        return first is None

    passes = chosen_passes(target, chosen)
    wrong = first_wrong_stage(whole, passes, agrees)
    if wrong is None:
        click.echo(f"{model.name}: no pass of {len(passes)} changes the answers of {len(recorded)} samples")
        return
    told = f": it can't be evaluated ({wrong.reason})" if wrong.reason else ""
    click.echo(f"{model.name}: {wrong.stage} is the first graph that is wrong{told}")
    sys.exit(_FOUND)
