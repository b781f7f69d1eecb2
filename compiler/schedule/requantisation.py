"""What follows the products of a layer: bias, scale, zero point and limits, by the vector engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...isa.instruction import vector
from ...isa.table import VECTOR_DIMS, Function, Memory
from ..output import Output
from ..requantise import Requantiser
from .loops import Loop, fit
from .scope import Need, Scope
from .weights import scale_cells

__all__ = ["ChannelParameters", "requantise", "settled", "shared_scale", "table_needs"]


class ChannelParameters:
    """BIAS and SCALE cells of a layer; one SCALE cell where all channels have the same factor.

    Parameters
    ----------
    bias
        int64 (C,), of the accumulators, modulo 2^32.
    requantiser
        Its factors.
    channels
        C, made up to whole blocks.
    name
        Tells several of one layer apart.
    """

    def __init__(self, scope: Scope, bias: np.ndarray, requantiser: Requantiser, channels: int, name: str = "") -> None:
        self._name = name
        self._scope = scope
        self.shared = requantiser.multiplier.size == 1
        self._biases = np.zeros(channels, dtype=np.int32)
        self._biases[: len(bias)] = ((bias + (1 << 31)) & 0xFFFF_FFFF) - (1 << 31)
        self._scales = scale_cells(requantiser, len(bias), channels)
        self._scale = requantiser.cells(scope.config.block_out) if self.shared else b""

    def needs(self, blocks: tuple[int, int]) -> list[Need]:
        """The cells of channel blocks [first, end): BIAS, SCALE."""
        scope, channels = self._scope, self._scope.config.channels
        key = (self._name, blocks)
        span = slice(blocks[0] * channels, blocks[1] * channels)
        biases = scope.constant(scope.memories.biases, Memory.BIAS, self._biases[span].tobytes(), key)
        if self.shared:
            return [biases, scope.constant(scope.memories.scales, Memory.SCALE, self._scale, (self._name, "shared"))]
        return [biases, scope.constant(scope.memories.scales, Memory.SCALE, self._scales[span].tobytes(), key)]


def shared_scale(scope: Scope, requantiser: Requantiser) -> Need:
    """A SCALE cell with the factor in every channel."""
    content = requantiser.cells(scope.config.block_out)
    return scope.constant(scope.memories.scales, Memory.SCALE, content, content)


def table_needs(scope: Scope, output: Output) -> list[Need]:
    """The TABLE that `output` looks results up in, if it does."""
    if output.table is None:
        return []
    content = output.table.tobytes()
    return [scope.constant(scope.memories.tables, Memory.TABLE, content, content)]


def settled(scope: Scope, output: Output, tables: Sequence[int]) -> dict[str, Any]:
    """What a VECTOR has to be told of `output`; `tables` are the places of :func:`table_needs`."""
    step = scope.memories.tables.step
    return {
        "zero_point": output.zero_point,
        "minimum": output.minimum,
        "maximum": output.maximum,
        "table": tables[0] // step if tables else None,
    }


def requantise(
    scope: Scope,
    loops: Sequence[Loop],
    places: tuple[int, int, int, int],
    *,
    shared: bool,
    output: Output,
    tables: Sequence[int],
    row_mask: int,
) -> None:
    """From ACC to ACT.

    Parameters
    ----------
    loops
        With steps of ACC, ACT, and of the channels' parameters.
    places
        Addresses in ACC, BIAS, SCALE and ACT.
    tables
        See :func:`settled`.
    """
    acc, bias, scale, out = places
    for piece in fit(loops, VECTOR_DIMS):
        scope.emit(
            vector(
                function=Function.SUM,
                bounds=piece.bounds,
                a=(Memory.ACC, acc + piece.bases[0], piece.strides(0)),
                dst=(Memory.ACT, out + piece.bases[1], piece.strides(1)),
                bias=bias + piece.bases[2],
                scale=scale if shared else scale + piece.bases[2],
                scale_shared=shared,
                channel_strides=piece.strides(2),
                row_mask=row_mask,
                **settled(scope, output, tables),
            )
        )
