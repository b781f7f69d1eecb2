"""AffineGrid: the places that an affine map samples, for GridSample."""

from __future__ import annotations

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, constant_input, given
from .registry import operator, refuse

__all__: list[str] = []


@operator("AffineGrid")
class AffineGrid(DerivedOperator):
    """theta (N, d, d + 1) and the size of an (N, C, …) image with d dimensions → (N, …, d), from −1 to 1."""

    parameters = (1,)

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        theta, size = given(node, arguments), constant_input(node, arguments, 1, "size")
        rank = theta.shape[1]
        if size is None or size.size != rank + 2:
            raise refuse(node, f"its size must have {rank + 2} numbers")
        sizes = [int(extent) for extent in size[2:]]
        aligned = bool(node.get("align_corners", 0))

        def coordinate(place: Expr, extent: int) -> Expr:
            at = place.astype(theta.dtype)
            if aligned:
                return at * (2 / (extent - 1)) - 1.0 if extent > 1 else at * 0.0 - 1.0
            return (at * 2.0 + 1.0) * (1 / extent) - 1.0

        def element(n: Expr, *index: Expr) -> Expr:
            *places, row = index
            total = theta[n, row, rank]
            for d in range(rank):
                total = total + theta[n, row, rank - 1 - d] * coordinate(places[d], sizes[d])
            return total

        return [te.compute((theta.shape[0], *sizes, rank), element)]
