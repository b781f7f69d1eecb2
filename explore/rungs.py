"""The ladder of fidelity, and what is known of a point by it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce

__all__ = ["Knowledge", "Measurement", "Rung"]


class Rung(IntEnum):
    """How a number was come by; a higher rung is nearer to the truth, and slower."""

    CLOSED_FORM = 0
    TIMING = 1
    RTL = 2
    SYNTHESIS = 3
    ROUTED = 4

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", " ")


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
        CPU time that it took.
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
