"""Options of ``tilewright compile`` for float models, and the table of what their quantisation costs."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ProgramError, TilewrightError
from ..files import write_file
from .files import NumberRange, out_option, read_arrays, write_text

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

    from ..compiler.graph import Graph
    from ..compiler.quantise.model import QuantisedModel
    from ..compiler.quantise.report import QuantisationReport
    from ..config import Config

__all__ = ["CalibrationOptions", "calibration_options"]

Command = TypeVar("Command", bound=Callable[..., Any])
_ESTIMATORS = ("min-max", "percentile", "mse", "entropy")
_REPORTS = (".json", ".csv")


@dataclass(frozen=True)
class CalibrationOptions:
    """What the user said about quantising a float model; nothing where `calibrate` is None."""

    calibrate: Path | None
    estimator: str | None
    percentile: float | None
    bias_correction: bool
    equalisation: bool
    report: Path | None
    quantised: Path | None

    def require_sense(self) -> None:
        """Refuse options that contradict each other.

        Raises
        ------
        TilewrightError
            One needs another that is missing.
        """
        given = {
            "--estimator": self.estimator is not None,
            "--percentile": self.percentile is not None,
            "--no-bias-correction": not self.bias_correction,
            "--no-equalisation": not self.equalisation,
            "--report": self.report is not None,
            "--quantised": self.quantised is not None,
        }
        for option, present in given.items():
            if present and self.calibrate is None:
                raise TilewrightError(f"{option} must go with --calibrate FILE.npz: add it, or leave {option} out")
        if self.percentile is not None and self.estimator != "percentile":
            raise TilewrightError("--percentile must go with --estimator percentile: add it, or leave it out")
        if self.report is not None and self.report.suffix not in _REPORTS:
            raise TilewrightError(f"--report must be a file .json or .csv, not {self.report.name}")

    def apply(self, graph: "Graph", config: "Config") -> "Graph":
        """`graph`, quantised; what that costs is printed, and written where the user asked for it."""
        assert self.calibrate is not None
        result = self._quantise(graph, config, self.calibrate)
        if self.report is not None:
            report = result.report
            text = report.as_csv() if self.report.suffix == ".csv" else json.dumps(report.as_dict(), indent=1)
            write_text(self.report, text)
        if self.quantised is not None:
            write_file(self.quantised, result.to_onnx().SerializeToString(), "output file", error=ProgramError)
        _print(result.report, f"{graph.name}, quantised for {config.name} over {result.report.samples} samples")
        return result.graph

    def _quantise(self, graph: "Graph", config: "Config", samples: Path) -> "QuantisedModel":
        from rich.console import Console
        from rich.progress import Progress

        from ..compiler.quantise.model import quantise_model

        arrays = read_arrays(samples)
        screen = Console(stderr=True)
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bars:
            tasks: dict[str, TaskID] = {}

            def advance(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(f"{what} of {total} samples", total=total)
                bars.update(tasks[what], completed=done)

            return quantise_model(
                graph,
                arrays,
                config,
                estimator=self.estimator or "mse",  # type: ignore[arg-type]
                percentile=99.99 if self.percentile is None else self.percentile,
                bias_correction=self.bias_correction,
                equalisation=self.equalisation,
                progress=advance,
                what=f"calibration file {samples.name}",
            )


def calibration_options(command: Command) -> Command:
    """Adds the options that :class:`CalibrationOptions` has, under its names."""
    for option in reversed(
        [
            click.option(
                "--calibrate",
                type=click.Path(path_type=Path),
                help="npz file of sample inputs: quantise a float model by them, and say what that costs.",
            ),
            click.option("--estimator", type=click.Choice(_ESTIMATORS), help="How ranges are chosen; mse by default."),
            click.option(
                "--percentile",
                type=NumberRange(50, 100, min_open=True),
                help="Percent of elements that the estimator percentile keeps; 99.99 by default.",
            ),
            click.option(
                "--bias-correction/--no-bias-correction",
                default=True,
                show_default=True,
                help="Whether biases take back mean errors.",
            ),
            click.option(
                "--equalisation/--no-equalisation",
                default=True,
                show_default=True,
                help="Whether channels of very different size are brought together.",
            ),
            out_option(False, "the errors layer by layer, .json or .csv", "--report"),
            out_option(False, "the quantised model, ONNX in the QDQ form", "--quantised"),
        ]
    ):
        command = option(command)
    return command


def _print(report: "QuantisationReport", title: str) -> None:
    from .report import print_table

    print_table(_table(report, title))
    for output in report.outputs:
        agreeing = f", {output.agreeing} of {output.decisions} decisions agree" if output.decisions else ""
        click.echo(
            f"output {output.name} against the {output.reference}: SQNR {output.sqnr:.1f} dB, cosine "
            f"{output.cosine:.5f} (worst sample {output.worst_cosine:.5f}), largest difference "
            f"{output.largest:.4g}{agreeing}"
        )


def _table(report: "QuantisationReport", title: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="ellipsis", no_wrap=True, min_width=12, max_width=26)
    table.add_column("operator", overflow="ellipsis", no_wrap=True, max_width=17)
    for heading in ("range", "scale", "zero", "own dB", "SQNR dB", "cosine", "largest"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in report.layers:
        table.add_row(
            layer.name,
            layer.operator,
            f"{layer.low:.4g} to {layer.high:.4g}",
            f"{layer.scale:.4g}",
            str(layer.zero_point),
            f"{layer.own_sqnr:.1f}",
            f"{layer.sqnr:.1f}",
            f"{layer.cosine:.5f}",
            f"{layer.largest:.4g}",
        )
    return table
