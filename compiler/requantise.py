"""From accumulators to 8 bits: a real factor as an integer multiplier and two shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Requantiser"]

_MOST_SHIFT = 31
TFLITE_BITS = 32
_MOST_AVERAGED = 1 << 19


@dataclass(frozen=True, eq=False)
class Requantiser:
    """One factor a channel, or one for all.

    Members
    -------
    multiplier
        int64, (channels,) or (1,): the factor's leading `bits` − 1 bits.
    left, right
        int64, as long: shifts before and after the product, 0 to 31.
    single
        Round once (ONNX); else twice (TFLite's reference kernels).
    bits
        Width of the hardware's multiplier.
    """

    multiplier: np.ndarray
    left: np.ndarray
    right: np.ndarray
    single: bool
    bits: int

    def __repr__(self) -> str:
        factors = self.multiplier / 2.0 ** (self.bits - 1 + self.right - self.left)
        shown = f"{factors[0]:.6g}" if factors.size == 1 else f"{factors.min():.4g} to {factors.max():.4g}"
        return f"x{shown}{'' if self.single else ' (double rounding)'}"

    @classmethod
    def from_factor(cls, factor: float | np.ndarray, *, bits: int, pre_shift: int = 0) -> Requantiser:
        """The nearest representation of `factor`, rounding once.

        `pre_shift` asks for that many left shifts more than needed, which the factor's right shift makes up
        for: used where the product must keep bits below the point.
        """
        factors = np.atleast_1d(np.asarray(factor, dtype=np.float64))
        fraction, exponent = np.frexp(factors)
        multiplier = np.rint(fraction * float(1 << (bits - 1))).astype(np.int64)
        return cls._of_parts(multiplier, exponent.astype(np.int64), bits=bits, pre_shift=pre_shift, single=True)

    @classmethod
    def from_tflite(cls, factor: float | np.ndarray, *, pre_shift: int = 0, single: bool = False) -> Requantiser:
        """What TFLite's QuantizeMultiplier makes of `factor` (float64); `pre_shift` as for :meth:`from_factor`."""
        fraction, exponent = np.frexp(np.atleast_1d(np.asarray(factor, dtype=np.float64)))
        multiplier = np.floor(fraction * float(1 << (TFLITE_BITS - 1)) + 0.5).astype(np.int64)
        parts = (multiplier, exponent.astype(np.int64))
        return cls._of_parts(*parts, bits=TFLITE_BITS, pre_shift=pre_shift, single=single)

    @classmethod
    def _of_parts(
        cls, multiplier: np.ndarray, exponent: np.ndarray, *, bits: int, pre_shift: int, single: bool
    ) -> Requantiser:
        carried = np.abs(multiplier) == 1 << (bits - 1)
        multiplier = np.where(carried, multiplier >> 1, multiplier)
        exponent = np.where(carried, exponent + 1, exponent)
        left, right = np.maximum(exponent, 0) + pre_shift, np.maximum(-exponent, 0) + 0
        vanishing = right > _MOST_SHIFT
        multiplier, right = np.where(vanishing, 0, multiplier), np.where(vanishing, 0, right)
        if left.max(initial=0) > _MOST_SHIFT:
            raise OverflowError(f"a scale factor must be below 2^{_MOST_SHIFT - pre_shift}, not 2^{exponent.max()}")
        return cls(multiplier, left, right, single, bits)

    @classmethod
    def from_mean(cls, factor: float, count: int) -> Requantiser:
        """`factor` / `count` as TFLite's Mean folds them: the multiplier is shifted up, divided, and cut off."""
        whole = cls.from_tflite(factor)
        exponent = int(whole.left[0] - whole.right[0])
        shift = max(min(count.bit_length() - 1, 32, _MOST_SHIFT + exponent), 0)
        multiplier = np.array([(int(whole.multiplier[0]) << shift) // count], dtype=np.int64)
        rest = np.array([exponent - shift], dtype=np.int64)
        return cls(multiplier, np.maximum(rest, 0), np.maximum(-rest, 0), False, TFLITE_BITS)

    @classmethod
    def from_average(cls, count: int) -> Requantiser:
        """1 / `count` of a sum of `count` int8, rounded half away from zero: as many bits are kept below the point
        as fit, so that rounding twice rounds right."""
        spare = 31 - 8 - count.bit_length()
        if count > _MOST_AVERAGED:
            raise OverflowError(f"an average must be of at most {_MOST_AVERAGED} elements, not {count}")
        return cls.from_tflite(1.0 / count / (1 << spare), pre_shift=spare)

    def narrowed(self, bits: int) -> Requantiser:
        """The nearest with a multiplier of `bits`, at most the present ones."""
        cut = self.bits - bits
        if cut <= 0:
            return self
        multiplier = np.minimum((self.multiplier + (1 << (cut - 1))) >> cut, (1 << (bits - 1)) - 1)
        return Requantiser(multiplier, self.left, self.right, self.single, bits)

    @classmethod
    def joined(cls, parts: Sequence[Requantiser]) -> Requantiser:
        """The factors of several, one after the other; they round alike."""
        columns = zip(*((part.multiplier, part.left, part.right) for part in parts), strict=True)
        multiplier, left, right = (np.concatenate(column) for column in columns)
        return cls(multiplier, left, right, parts[0].single, parts[0].bits)

    def at(self, place: int) -> Requantiser:
        """The factor at `place` alone."""
        one = slice(place, place + 1)
        return Requantiser(self.multiplier[one], self.left[one], self.right[one], self.single, self.bits)

    def signed(self, signs: np.ndarray) -> Requantiser:
        """The factors times `signs`, 1 or −1, one a channel: a sum of the opposite sign then gives the same result."""
        if np.all(signs > 0):
            return self
        left, right = (np.broadcast_to(shift, signs.shape) for shift in (self.left, self.right))
        return Requantiser(self.multiplier * signs, left, right, self.single, self.bits)

    def apply(self, accumulators: np.ndarray, axis: int = 1) -> np.ndarray:
        """int64: `accumulators` times the factor, channels along `axis`, as docs/isa.md has it."""
        shape = [1] * accumulators.ndim
        if self.multiplier.size > 1:
            shape[axis] = -1
        multiplier, left, right = (part.reshape(shape) for part in (self.multiplier, self.left, self.right))
        shifted = _wrap(accumulators.astype(np.int64) << left)
        product = shifted * multiplier
        if self.single:
            down = self.bits - 1 + right
            return _wrap((product + (np.int64(1) << (down - 1))) >> down)
        return _wrap(_round_half_away(_halved_high(product, self.bits), right))

    def cells(self, channels: int) -> bytes:
        """SCALE entries of `channels` channels; those beyond the factors get the factor 0."""
        entries = np.zeros(channels, dtype=[("m", "<i4"), ("left", "u1"), ("right", "u1"), ("mode", "u1"), ("-", "u1")])
        count = channels if self.multiplier.size == 1 else self.multiplier.size
        entries["m"][:count], entries["left"][:count] = self.multiplier, self.left
        entries["right"][:count], entries["mode"] = self.right, int(self.single)
        return entries.tobytes()


def _wrap(values: np.ndarray) -> np.ndarray:
    return ((values + (1 << 31)) & 0xFFFF_FFFF) - (1 << 31)


def _halved_high(product: np.ndarray, bits: int) -> np.ndarray:
    half = np.int64(1) << (bits - 2)
    nudged = product + np.where(product >= 0, half, 1 - half)
    return np.asarray(np.sign(nudged) * (np.abs(nudged) >> (bits - 1)))


def _round_half_away(values: np.ndarray, right: np.ndarray) -> np.ndarray:
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    return np.asarray(np.sign(values) * ((np.abs(values) + half) >> right))
