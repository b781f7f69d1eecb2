"""An estimate of the clock, for designs that no one has placed and routed yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log

from ..config import Config
from .measured_clocks import ClockSample, read_samples

__all__ = ["ClockModel", "clock_model", "estimate_fmax"]

# Least squares over the logarithms of what was routed on an LFE5U-85F of speed grade 6 with nextpnr: arrays of int8
# multipliers in registered MULT18X18D, with their operand memories: 16 of them at 154 MHz, 64 at 139, 128 at 117, 144
# at 109, 256 (a hundred in look-up tables) at 103. The largest deviation is 8%.
_ARRAYS_EXPONENT = -0.152
# How much the arrays' exponent counts beside whole systems: the variance of their deviations, in logarithms, over that
# of an exponent which may as well be a third off.
_ARRAYS_WEIGHT = (0.08 / 0.05) ** 2
_FEW = 3
_GUESSED_ERROR = 0.3


@dataclass(frozen=True)
class ClockModel:
    """``constant * multipliers ** exponent``, in hertz.

    It knows the size of the array, and no more: nothing of memories, banks or the bus.

    Members
    -------
    samples
        Whole systems that it was fitted to.
    worst_error
        The largest relative error for a system that was left out of the fit; a guess where there are fewer than three.
    """

    constant: float
    exponent: float
    samples: int
    worst_error: float

    @classmethod
    def fitted(cls, samples: Sequence[ClockSample]) -> "ClockModel":
        """Least squares over the logarithms, with a ridge: the exponent leans to that of arrays routed alone."""
        known = _hertz(samples)
        constant, exponent = _fit(known)
        errors = [
            abs(exp(_log_line(_fit([*known[:left], *known[left + 1 :]]), multipliers)) / hertz - 1)
            for left, (multipliers, hertz) in enumerate(known)
        ]
        return cls(exp(constant), exponent, len(known), _GUESSED_ERROR if len(known) < _FEW else max(errors))

    def fmax(self, config: Config) -> float:
        """Hertz of the whole system."""
        return exp(_log_line((log(self.constant), self.exponent), config.macs_per_cycle))


@cache
def clock_model() -> ClockModel:
    """Of what has been measured; see :mod:`.measured_clocks`."""
    return ClockModel.fitted(read_samples())


def estimate_fmax(config: Config) -> float:
    """Hertz of the whole system, by :func:`clock_model`."""
    return clock_model().fmax(config)


def _hertz(samples: Sequence[ClockSample]) -> list[tuple[int, float]]:
    """(multipliers, hertz) of each system; of those that were measured again, the latest.

    What was placed and not routed is taken times the mean factor between the two, of those that were both.
    """
    both = [log(s.routed_mhz / s.placed_mhz) for s in samples if s.routed_mhz and s.placed_mhz]
    factor = exp(sum(both) / len(both)) if both else 1.0
    latest = {(s.config.hash, s.board): s for s in samples}
    return [(s.config.macs_per_cycle, 1e6 * (s.routed_mhz or s.placed_mhz * factor)) for s in latest.values()]


def _fit(known: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """The constant's logarithm, and the exponent."""
    if not known:
        return 0.0, _ARRAYS_EXPONENT
    x = [log(multipliers) for multipliers, _ in known]
    y = [log(hertz) for _, hertz in known]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    along = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) + _ARRAYS_WEIGHT * _ARRAYS_EXPONENT
    exponent = along / (sum((a - mean_x) ** 2 for a in x) + _ARRAYS_WEIGHT)
    return mean_y - exponent * mean_x, exponent


def _log_line(line: tuple[float, float], multipliers: int) -> float:
    return line[0] + line[1] * log(multipliers)
