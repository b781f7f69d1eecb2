"""An estimate of the clock, for designs that no one has placed and routed yet."""

from math import exp, log

from ..config import Config

__all__ = ["estimate_fmax", "worst_error"]

# Least squares over the logarithms of what was routed on an LFE5U-85F of speed grade 6 with nextpnr: arrays of int8
# multipliers in registered MULT18X18D, with their operand memories: 16 of them at 154 MHz, 64 at 139, 128 at 117, 144
# at 109, 256 (a hundred in look-up tables) at 103. The largest deviation is 8%.
_EXPONENT = -0.152

# Whole systems on the same device: multipliers, and their clock. `tiny`: the longest path of its netlist, 11.2 ns
# by unit delays, taken 1.53 times, as nextpnr's estimate after placement was (28.1 ns) of the same sum for earlier
# hardware (18.3 ns). No whole system has been routed to its end.
_SYSTEMS = ((16, 58e6),)
_GUESSED_ERROR = 0.3


def estimate_fmax(config: Config) -> float:
    """Hertz of the whole system: a constant by ``multipliers ** -0.152``. It knows the size of the array, and no more.

    The power is that of arrays which were routed alone, the constant the geometric mean over whole systems.
    """
    return exp(_mean_scale(_SYSTEMS) + _EXPONENT * log(config.macs_per_cycle))


def worst_error() -> float:
    """The largest relative error for systems that were left out of the mean; a guess where there is but one."""
    if len(_SYSTEMS) < 2:
        return _GUESSED_ERROR
    errors = []
    for left_out in _SYSTEMS:
        rest = tuple(system for system in _SYSTEMS if system is not left_out)
        errors.append(abs(exp(_mean_scale(rest) - _scale(*left_out)) - 1))
    return max(errors)


def _mean_scale(systems: tuple[tuple[int, float], ...]) -> float:
    return sum(_scale(*system) for system in systems) / len(systems)


def _scale(multipliers: int, fmax: float) -> float:
    """The constant's logarithm, by one system."""
    return log(fmax) - _EXPONENT * log(multipliers)
