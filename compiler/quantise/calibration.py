"""Calibration inputs: arrays of a file as samples of a model, checked before any work starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ...errors import TilewrightError
from ..graph import Graph, Value

__all__ = ["Calibration", "Progress", "Sample", "watched"]

Sample = Mapping[str, np.ndarray]
Progress = Callable[[str, int, int], None]
_NUMBERED = re.compile(r"in_(\d+)_(\d+)")


class Calibration(Sequence[Sample]):
    """Samples of a model's inputs by name.

    Parameters
    ----------
    graph
        The model, with known shapes of its inputs.
    arrays
        Either ``in_k_i``, the i-th input of sample k, of exactly its shape; or an array for each input by its name,
        with the samples along the first dimension: (samples, …) for an input of shape (1, …). What else there is
        (answers, labels) is left alone.
    what
        What messages call the arrays' origin.

    Members
    -------
    answers
        For each sample, recorded outputs ``out_k_i`` by the output's place, where the first form has them.

    Raises
    ------
    TilewrightError
        There is no sample, an input lacks its array, or an array has another shape or dtype, or is not finite.
    """

    def __init__(self, graph: Graph, arrays: Mapping[str, np.ndarray], *, what: str = "calibration data") -> None:
        self._inputs = [graph.values[name] for name in graph.inputs]
        self._what = what
        self.answers: list[dict[int, np.ndarray]] = []
        numbered = sorted({int(match[1]) for key in arrays if (match := _NUMBERED.fullmatch(key))})
        named = [value.name for value in self._inputs if value.name in arrays]
        if numbered and len(named) < len(self._inputs):
            self._samples: Sequence[Sample] = [self._numbered(arrays, number) for number in numbered]
            self.answers = [_answers(arrays, number, len(graph.outputs)) for number in numbered]
        else:
            self._samples = self._named(arrays)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, place: int) -> Sample:  # type: ignore[override]
        return self._samples[place]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def _numbered(self, arrays: Mapping[str, np.ndarray], number: int) -> Sample:
        sample = {}
        for place, value in enumerate(self._inputs):
            key = f"in_{number}_{place}"
            if key not in arrays:
                raise TilewrightError(f"{self._what} must have array {key} ({_form(value)}) for input {value.name!r}")
            self._require(arrays[key], key, value)
            if arrays[key].shape != value.shape:
                raise TilewrightError(f"array {key} of {self._what} must be {_form(value)}, not {_found(arrays[key])}")
            sample[value.name] = arrays[key]
        return sample

    def _named(self, arrays: Mapping[str, np.ndarray]) -> Sequence[Sample]:
        missing = [value for value in self._inputs if value.name not in arrays]
        if missing or not self._inputs:
            wanted = ", ".join(f"{value.name!r} ({_many(value)})" for value in self._inputs)
            raise TilewrightError(
                f"{self._what} must have arrays in_0_0, in_1_0 … or {wanted or 'inputs'}, "
                f"not {', '.join(list(arrays)[:8]) or 'none'}"
            )
        stacks = {value.name: self._stack(arrays[value.name], value) for value in self._inputs}
        counts = {name: len(stack) for name, stack in stacks.items()}
        if len(set(counts.values())) > 1:
            raise TilewrightError(f"{self._what} must have as many samples of each input, not {counts}")
        return _Slices(stacks, next(iter(counts.values())))

    def _stack(self, array: np.ndarray, value: Value) -> np.ndarray:
        """(samples, *the input's shape)."""
        self._require(array, value.name, value)
        shape = value.known_shape
        if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
            stack = array
        elif shape and array.ndim == len(shape) and array.shape[1:] == shape[1:] and array.shape[0] % shape[0] == 0:
            stack = array.reshape(-1, *shape)
        else:
            raise TilewrightError(
                f"array {value.name} of {self._what} must be {_many(value)}, not {_found(array)}: "
                "samples lie along the first dimension"
            )
        if not len(stack):
            raise TilewrightError(f"array {value.name} of {self._what} must have at least one sample, not none")
        return stack

    def _require(self, array: np.ndarray, key: str, value: Value) -> None:
        if array.dtype != value.dtype:
            raise TilewrightError(
                f"array {key} of {self._what} must be {_form(value)}, not {_found(array)}: "
                f"convert it with .astype(numpy.{value.dtype})"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise TilewrightError(
                f"array {key} of {self._what} must be finite, and has NaN or infinity: mend that sample"
            )


class watched(Sequence[Sample]):  # noqa: N801
    """`samples`, of which `progress` is told `what`, how many are done, and how many there are, whenever one is."""

    def __init__(self, samples: Sequence[Sample], what: str, progress: Progress | None) -> None:
        self._samples = samples
        self._what = what
        self._progress = progress

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, place: int) -> Sample:  # type: ignore[override]
        return self._samples[place]

    def __iter__(self) -> Iterator[Sample]:
        for done, sample in enumerate(self._samples, 1):
            yield sample
            if self._progress is not None:
                self._progress(self._what, done, len(self._samples))


class _Slices(Sequence[Sample]):
    """Samples that are cut from arrays when they are asked for."""

    def __init__(self, stacks: Mapping[str, np.ndarray], count: int) -> None:
        self._stacks = stacks
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Sample:  # type: ignore[override]
        if not 0 <= place < self._count:
            raise IndexError(place)
        return {name: stack[place] for name, stack in self._stacks.items()}


def _answers(arrays: Mapping[str, np.ndarray], number: int, outputs: int) -> dict[int, np.ndarray]:
    keys = {place: f"out_{number}_{place}" for place in range(outputs)}
    return {place: arrays[key] for place, key in keys.items() if key in arrays}


def _form(value: Value) -> str:
    return f"{value.dtype}{list(value.known_shape)}"


def _many(value: Value) -> str:
    shape = value.known_shape
    first = "samples" if not shape or shape[0] == 1 else f"samples × {shape[0]}"
    return f"{value.dtype}[{', '.join([first, *map(str, shape[1:])])}]"


def _found(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"
