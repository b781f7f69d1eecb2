"""Changes of element type."""

from __future__ import annotations

import numpy as np

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, elementwise, given
from .registry import Arrays, operator, refuse

# Numbers of onnx.TensorProto.DataType.
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip

__all__ = ["DTYPES", "dtype_of", "saturated"]


def dtype_of(node: Node, attribute: str, default: int) -> str:
    """The dtype that an attribute names by its ONNX number."""
    code = node.get(attribute, default)
    if code not in DTYPES:
        raise refuse(node, f"its attribute {attribute} must name a type of {', '.join(DTYPES.values())}, not {code}")
    return DTYPES[code]


def saturated(x: Expr, dtype: str) -> Expr:
    """A float as an integer: rounded toward zero, limited to the dtype's range."""
    info = np.iinfo(dtype)
    wide = x.astype("float64")
    if dtype not in ("int64", "uint64"):
        return te.clamp(wide, float(info.min), float(info.max)).astype(dtype)
    inside = te.all_of(wide >= float(info.min), wide < float(info.max))
    nearest = te.where(wide > 0, te.Const(int(info.max), dtype), te.Const(int(info.min), dtype))
    return te.where(inside, te.where(inside, wide, 0.0).astype(dtype), nearest)


@operator("Cast")
class Cast(DerivedOperator):
    """Integers wrap, floats truncate toward zero and stop at the ends of the range, anything but 0 is true."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        dtype = dtype_of(node, "to", 0)

        def element(x: Expr) -> Expr:
            if x.dtype.startswith("float") and dtype.startswith(("int", "uint")):
                return saturated(x, dtype)
            return x.astype(dtype)

        return [elementwise(element, given(node, arguments))]

    def reference(self, node: Node, arguments: Arrays) -> list[np.ndarray]:
        assert arguments[0] is not None
        with np.errstate(all="ignore"):
            return [arguments[0].astype(dtype_of(node, "to", 0))]


@operator("BitCast")
class BitCast(DerivedOperator):
    """The same bits as another type of the same width."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        x, dtype = given(node, arguments), dtype_of(node, "to", 0)
        if x.dtype == "bool" and dtype in ("int8", "uint8"):
            return [elementwise(lambda value: value.astype(dtype), x)]
        if np.dtype(dtype).itemsize != np.dtype(x.dtype).itemsize or "bool" in (dtype, x.dtype):
            raise refuse(node, f"its attribute to must name a type as wide as {x.dtype}, not {dtype}")
        return [elementwise(lambda value: te.Bits(value, dtype), x)]
