"""Comparing a program with a model's recorded answers: inputs ``in_k_i``, outputs ``out_k_i``, ``tap_k_0``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ProgramError
from .session import Session

__all__ = ["Comparison", "GoldenSample", "compare_runs", "compare_samples", "golden_samples"]

_INPUT = re.compile(r"in_(\d+)_(\d+)")


@dataclass(frozen=True)
class GoldenSample:
    """Sample `number` of a file: arrays by their place among the model's inputs and outputs.

    Members
    -------
    tap
        What feeds the final softmax; None where the file does not have it.
    """

    number: int
    name: str
    inputs: Mapping[int, np.ndarray]
    outputs: Mapping[int, np.ndarray]
    tap: np.ndarray | None


@dataclass(frozen=True)
class Comparison:
    """One array of a file beside what a device computed.

    Members
    -------
    key
        The array's name in the file.
    differing
        Elements that lie further than the tolerance from the recorded ones.
    largest
        The largest difference.
    rows, decided_otherwise
        How many rows it has along its last dimension, and in how many another element is the largest: a classifier's
        decision. 0 where rows have one element.
    """

    sample: GoldenSample
    key: str
    elements: int
    differing: int
    largest: float
    rows: int
    decided_otherwise: int


def golden_samples(arrays: Mapping[str, np.ndarray], *, answers: str = "out") -> list[GoldenSample]:
    """The samples of a file's arrays, in order; outputs are those named ``{answers}_k_i``.

    Raises
    ------
    ProgramError
        There is no sample, or none of the answers asked for.
    """
    inputs: dict[int, dict[int, np.ndarray]] = {}
    for key, array in arrays.items():
        if match := _INPUT.fullmatch(key):
            inputs.setdefault(int(match[1]), {})[int(match[2])] = array
    samples = []
    for number in sorted(inputs):
        pattern = re.compile(rf"{re.escape(answers)}_{number}_(\d+)")
        outputs = {int(match[1]): array for key, array in arrays.items() if (match := pattern.fullmatch(key))}
        tap = arrays.get(f"tap_{number}_0") if answers == "out" else None
        name = str(arrays.get(f"name_{number}", number))
        if outputs or tap is not None:
            samples.append(GoldenSample(number, name, inputs[number], outputs, tap))
    if not samples:
        raise ProgramError(f"the file must have samples, arrays in_0_0 and {answers}_0_0, and has none")
    return samples


def compare_samples(
    session: Session, samples: list[GoldenSample], *, outputs: int, tap: str | None, answers: str, tolerance: float
) -> Iterator[Comparison]:
    """Run every sample and compare.

    Parameters
    ----------
    outputs
        How many of the program's outputs are the model's.
    tap
        The program's output that feeds the softmax; None where there is none.

    Raises
    ------
    ProgramError
        The file's arrays are not those of the model.
    """
    inputs = [tensor.name for tensor in session.program.inputs]
    names = [tensor.name for tensor in session.program.outputs[:outputs]]
    return compare_runs(
        session.run, samples, inputs=inputs, outputs=names, tap=tap, answers=answers, tolerance=tolerance
    )


def compare_runs(
    run: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]],
    samples: list[GoldenSample],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    tap: str | None,
    answers: str,
    tolerance: float,
) -> Iterator[Comparison]:
    """As :func:`compare_samples`, for whatever computes arrays by name from the model's `inputs`.

    `outputs` are the names of the model's results, `tap` that of what feeds the softmax.
    """
    for sample in samples:
        if sorted(sample.inputs) != list(range(len(inputs))):
            raise ProgramError(
                f"sample {sample.number} must have the model's {len(inputs)} inputs, "
                f"not numbers {sorted(sample.inputs)}"
            )
        results = run({name: sample.inputs[place] for place, name in enumerate(inputs)})
        for place, expected in sorted(sample.outputs.items()):
            if place >= len(outputs):
                raise ProgramError(
                    f"sample {sample.number} must have at most {len(outputs)} outputs, not number {place}"
                )
            found = results[outputs[place]]
            yield _compared(sample, f"{answers}_{sample.number}_{place}", found, expected, tolerance)
        if tap is None and not sample.outputs:
            raise ProgramError(f"sample {sample.number} must have outputs, not a tap alone: the model has no softmax")
        if sample.tap is not None and tap is not None:
            yield _compared(sample, f"tap_{sample.number}_0", results[tap], sample.tap, tolerance)


def _compared(sample: GoldenSample, key: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> Comparison:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise ProgramError(
            f"array {key} must be {_form(found)} like the model's, not {_form(expected)}: is it another model's file?"
        )
    if expected.dtype.kind not in "biuf":
        raise ProgramError(f"array {key} must hold numbers, not {expected.dtype}")
    wide: Any = np.longdouble if expected.dtype.itemsize == 8 else np.float64
    a, b = found.astype(wide), expected.astype(wide)
    with np.errstate(invalid="ignore"):
        distance = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
    distance = np.where(np.isnan(distance), np.inf, distance)
    differing, rows, otherwise = int((distance > tolerance).sum()), 0, 0
    if a.ndim and a.shape[-1] > 1:
        decided = a.argmax(axis=-1) != b.argmax(axis=-1)
        rows, otherwise = decided.size, int(decided.sum())
    return Comparison(sample, key, distance.size, differing, float(distance.max(initial=0.0)), rows, otherwise)


def _form(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"
