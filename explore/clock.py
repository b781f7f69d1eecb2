"""A guess of the clock, for designs that no one has placed and routed yet."""

from ..config import Config

__all__ = ["estimate_fmax"]

# Least squares over the logarithms of what was routed on an LFE5U-85F of speed grade 6 with nextpnr: arrays of int8
# multipliers in registered MULT18X18D, with their operand memories: 16 of them at 154 MHz, 64 at 139, 128 at 117, 144
# at 109, 256 (a hundred in look-up tables) at 103. The largest deviation is 8%.
_ONE_MULTIPLIER_HZ = 242.5e6
_EXPONENT = -0.152
# What vector engine, memory port and congestion cost the whole system, until whole systems have been routed.
_SYSTEM = 0.8


def estimate_fmax(config: Config) -> float:
    """Hertz: ``0.8 · 242.5 MHz · multipliers ** -0.152``. It knows the size of the array, and nothing else."""
    return float(_SYSTEM * _ONE_MULTIPLIER_HZ * pow(float(config.macs_per_cycle), _EXPONENT))
