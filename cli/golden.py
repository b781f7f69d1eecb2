"""Recorded answers on the command line: the options and the samples of their file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ProgramError
from .files import NumberRange, read_arrays

if TYPE_CHECKING:
    from ..driver.golden import Comparison, GoldenSample

__all__ = ["golden_options", "read_samples", "show_comparison"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--golden", "-g", type=click.Path(path_type=Path), required=True, help="npz file of inputs and answers."
    ),
    click.option("--tolerance", type=NumberRange(0), default=0.0, show_default=True, help="Difference allowed."),
    click.option("--answers", default="out", show_default=True, help="Which of the file's answers: NAME_k_i."),
    click.option("--samples", type=click.IntRange(1), help="Only the first so many; all by default."),
)


def golden_options(command: Command) -> Command:
    """``--golden``, ``--tolerance``, ``--answers`` and ``--samples``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_samples(golden: Path, answers: str, count: int | None) -> "list[GoldenSample]":
    """The first `count` samples of the file, or all.

    Raises
    ------
    ProgramError
        It can't be read, or has none.
    """
    from ..driver.golden import golden_samples

    arrays = read_arrays(golden)
    try:
        return golden_samples(arrays, answers=answers)[:count]
    except ProgramError as error:
        raise ProgramError(f"{golden.name}: {error}") from None


def show_comparison(comparison: "Comparison") -> "Comparison":
    click.echo(
        f"{comparison.key} ({comparison.sample.name}): {comparison.differing} of {comparison.elements} elements "
        f"differ, by at most {comparison.largest:g}{_decisions(comparison)}"
    )
    return comparison


def _decisions(comparison: "Comparison") -> str:
    """Where rows differ at all: in how many another element is the largest."""
    if not comparison.largest or not comparison.rows:
        return ""
    return f"; the largest of a row is another in {comparison.decided_otherwise} of {comparison.rows}"
