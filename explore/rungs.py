"""The ladder of fidelity, and what is known of a point by it."""

import resource
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from time import process_time

__all__ = ["Knowledge", "Measurement", "Rung", "cpu_seconds"]


class Rung(IntEnum):
    """How a number was come by; a higher rung is nearer to the truth, and slower."""

    CLOSED_FORM = 0
    LEARNT = 1
    TIMING = 2
    TUNED = 3
    RTL = 4
    SYNTHESIS = 5
    ROUTED = 6

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")

    @property
    def mark(self) -> str:
        """A letter for tables."""
        return _MARKS[self]


_MARKS = dict(zip(Rung, "cltTvsr", strict=True))


@dataclass(frozen=True)
class Measurement:
    """What one rung says of a point.

    Members
    -------
    quantities
        By name: ``cycles``, ``cycles:MODEL``, ``macs``, ``bytes_read``, ``bytes_written``, ``energy`` (joules),
        ``lut``, ``ff``, ``dsp``, ``block_ram``, ``fmax`` (hertz), as far as the rung tells them.
    refused
        Why the point can't be had at all; then there are no quantities.
    seconds
        CPU time that it took, that of tools included.
    """

    rung: Rung
    quantities: Mapping[str, float] = field(default_factory=dict)
    refused: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Knowledge:
    """All that is known of a point: each quantity from the highest rung that tells it.

    Members
    -------
    quantities, rungs
        By the quantity's name: its value, and where that is from.
    """

    quantities: Mapping[str, float] = field(default_factory=dict)
    rungs: Mapping[str, Rung] = field(default_factory=dict)

    @classmethod
    def of(cls, measurements: Iterable[Measurement]) -> "Knowledge":
        return reduce(cls.learnt, sorted(measurements, key=lambda measurement: measurement.rung), cls())

    def learnt(self, measurement: Measurement) -> "Knowledge":
        """This, with what `measurement` knows better."""
        better = {
            name: value
            for name, value in measurement.quantities.items()
            if measurement.rung >= self.rungs.get(name, measurement.rung)
        }
        return Knowledge({**self.quantities, **better}, {**self.rungs, **dict.fromkeys(better, measurement.rung)})


def cpu_seconds() -> float:
    """Of this process so far, and of those that it has started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime
