"""A float operator between DequantizeLinear and QuantizeLinear: what its integer form is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UnsupportedOperator
from ..graph import Node, Quantisation
from ..requantise import Requantiser
from .registry import refuse

__all__ = ["Lowered", "Operand", "Site"]


@dataclass(frozen=True)
class Operand:
    """A quantised input.

    Members
    -------
    name
        The 8-bit (or, for a bias, 32-bit) value.
    scale, zero_point
        float64 and int64, shape () or one a slice along `axis`.
    data
        A constant's integers; None for an activation.
    shape
        Of the value.
    """

    name: str
    scale: np.ndarray
    zero_point: np.ndarray
    axis: int
    data: np.ndarray | None
    shape: tuple[int, ...]

    def _along_axis(self, parameter: np.ndarray) -> np.ndarray:
        """A scale or zero point so that it broadcasts over the data."""
        shape = [-1 if d == self.axis % len(self.shape) else 1 for d in range(len(self.shape))]
        return parameter.reshape(shape) if parameter.ndim else parameter

    @property
    def centred(self) -> np.ndarray:
        """A constant's integers less their zero points, int64."""
        assert self.data is not None
        return np.asarray(self.data.astype(np.int64) - self._along_axis(self.zero_point))

    @property
    def real(self) -> np.ndarray | None:
        """A constant's real numbers, float64."""
        if self.data is None:
            return None
        if self.data.dtype.kind == "f":
            return self.data.astype(np.float64)
        return np.asarray(self.centred * self._along_axis(self.scale))


@dataclass(frozen=True)
class Lowered:
    """An integer operator: its inputs are values by name, or new constants.

    Members
    -------
    shape
        Of its result, where a reshape has to make the site's from it.
    """

    operator: str
    inputs: tuple[str | np.ndarray, ...]
    attributes: Mapping[str, Any]
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Site:
    """Where a float operator stands.

    Members
    -------
    operands
        As the node's inputs; None for one that is left out.
    output
        Scale and zero point of the QuantizeLinear that follows.
    minimum, maximum
        Limits of the result in its own integers: int8's, narrowed by a ReLU or Clip in between.
    bits
        Width of the hardware's multiplier.
    channels
        How many channels a block of the hardware's tensors has.
    """

    node: Node
    operands: tuple[Operand | None, ...]
    output: Quantisation
    shape: tuple[int, ...]
    minimum: int
    maximum: int
    bits: int
    channels: int

    def quantised(self, index: int) -> tuple[Operand, Quantisation]:
        """Operand `index`, which must be 8-bit with one scale for the whole tensor."""
        operand = self.operands[index]
        if operand is None or operand.scale.ndim or operand.zero_point.ndim:
            raise self.refuse(f"input {index} must be quantised with one scale for the whole tensor")
        return operand, Quantisation(float(operand.scale), int(operand.zero_point))

    def activation(self, index: int) -> tuple[Operand, Quantisation]:
        """As :meth:`quantised`, of a rank that the accelerator's memory layout has."""
        operand, quantisation = self.quantised(index)
        if len(operand.shape) > 4:
            raise self.refuse(f"input {index} must have at most 4 dimensions, not {len(operand.shape)}")
        return operand, quantisation

    def keeps(self, quantisation: Quantisation) -> bool:
        """Whether the result's integers mean what those of `quantisation` do, none of them out of limits."""
        return quantisation == self.output and (self.minimum, self.maximum) == (-128, 127)

    def weight(self, index: int, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """(integers less their zero points, scales) of operand `index`, a constant of 8 bits or fewer.

        The integers are int8, or int16 where zero points push them out of it; scales have shape () or one a slice
        along `axis`, the only one along which scales and zero points may differ.
        """
        operand = self.operands[index]
        if operand is None or operand.data is None:
            raise self.refuse("its weights must be constant")
        if operand.data.dtype.itemsize > 1 or operand.data.dtype.kind == "f":
            raise self.refuse(f"its weights must be quantised to 8 bits, not {operand.data.dtype}")
        varying = operand.scale.ndim or operand.zero_point.ndim
        if varying and operand.axis % operand.data.ndim != axis:
            raise self.refuse(f"its weights must be quantised as a whole or along axis {axis}, not {operand.axis}")
        centred = operand.centred
        fits = -128 <= centred.min(initial=0) <= centred.max(initial=0) <= 127
        return centred.astype(np.int8 if fits else np.int16), operand.scale

    def node_inputs(self) -> tuple[str, ...]:
        """The node's inputs, with the integers in place of what was made from them."""
        return tuple("" if operand is None else operand.name for operand in self.operands)

    def requantiser(self, factor: float | np.ndarray, pre_shift: int = 0) -> Requantiser:
        """`factor` for this hardware; see :meth:`Requantiser.from_factor`."""
        try:
            return Requantiser.from_factor(factor, bits=self.bits, pre_shift=pre_shift)
        except OverflowError as error:
            raise self.refuse(f"its scales must lie closer together: {error}") from None

    def clamp(self) -> dict[str, int]:
        """The attributes every integer operator ends with."""
        return {"y_zero": self.output.zero_point, "minimum": self.minimum, "maximum": self.maximum}

    def bias(self, index: int, scale: np.ndarray, channels: int) -> np.ndarray:
        """int64 (channels,): input `index` in units of `scale`, zeros where it is left out."""
        operand = self.operands[index] if index < len(self.operands) else None
        if operand is None:
            return np.zeros(channels, dtype=np.int64)
        real = operand.real
        if real is None:
            raise self.refuse("its bias must be constant")
        if real.size not in (1, channels):
            raise self.refuse(f"its bias must have {channels} elements, not {real.size}")
        units = np.rint(np.broadcast_to(real.reshape(-1), (channels,)) / scale)
        return np.asarray(np.clip(units, -(1 << 31), (1 << 31) - 1).astype(np.int64))

    def refuse(self, what: str) -> UnsupportedOperator:
        return refuse(self.node, what)
