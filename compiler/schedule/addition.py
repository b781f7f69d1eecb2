"""The sum of two quantised tensors by the vector engine: each term is scaled into ACC, then the sum is requantised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...isa.instruction import vector
from ...isa.table import Function, Memory
from ..output import Output
from ..requantise import Requantiser
from .loops import Piece
from .requantisation import settled, shared_scale, table_needs
from .scope import Need, Scope

__all__ = ["PASSES", "Sum", "emit_sum"]

PASSES = 3
"""Steps of the vector engine for each vector of the result."""


@dataclass(frozen=True)
class Sum:
    """What the operator qadd makes of its terms; each has its factor to the sum's unit.

    Members
    -------
    requantiser
        From the sum's unit to the result's.
    """

    a_zero: int
    b_zero: int
    output: Output
    a_requantiser: Requantiser
    b_requantiser: Requantiser
    requantiser: Requantiser

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Sum:
        """From the attributes of a qadd."""
        scales = (attributes[f"{whose}requantiser"] for whose in ("a_", "b_", ""))
        return cls(attributes["a_zero"], attributes["b_zero"], Output.of(attributes), *scales)

    def swapped(self) -> Sum:
        """The same, its terms the other way round."""
        changed = dict(vars(self), a_zero=self.b_zero, b_zero=self.a_zero)
        return Sum(**changed | {"a_requantiser": self.b_requantiser, "b_requantiser": self.a_requantiser})

    def needs(self, scope: Scope) -> list[Need]:
        """SCALE cells, and maybe a TABLE, for `emit_sum`."""
        factors = (self.a_requantiser, self.b_requantiser, self.requantiser)
        return [*(shared_scale(scope, factor) for factor in factors), *table_needs(scope, self.output)]


def emit_sum(
    scope: Scope, total: Sum, nest: Piece, places: tuple[int, int, int, int], constants: Sequence[int], row_mask: int
) -> None:
    """The three passes over the vectors of `nest`.

    Parameters
    ----------
    nest, places
        Strides and addresses of: the terms in ACT, room in ACC, the result in ACT.
    constants
        Addresses of what :meth:`Sum.needs` asks for.
    """
    scales, tables = constants[:3], constants[3:]
    a, b, acc, y = (place + base for place, base in zip(places, nest.bases, strict=True))
    sums = (Memory.ACC, acc, nest.strides(2))
    terms = ((a, 0, total.a_zero, scales[0], False), (b, 1, total.b_zero, scales[1], True))
    for place, operand, zero, scale, residual in terms:
        scope.emit(
            vector(
                function=Function.SUM,
                bounds=nest.bounds,
                a=(Memory.ACT, place, nest.strides(operand)),
                b=sums if residual else None,
                dst=sums,
                residual=residual,
                scale=scale,
                scale_shared=True,
                a_zero=zero,
                row_mask=row_mask,
            )
        )
    scope.emit(
        vector(
            function=Function.SUM,
            bounds=nest.bounds,
            a=sums,
            dst=(Memory.ACT, y, nest.strides(3)),
            scale=scales[2],
            scale_shared=True,
            row_mask=row_mask,
            **settled(scope, total.output, tables),
        )
    )
