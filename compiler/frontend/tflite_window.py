"""Images and windows of TFLite's operators, channels first."""

from __future__ import annotations

from tflite import Padding

from ..graph import Node
from ..ops.window import window_of
from ..window import Window
from .tflite_builder import Builder
from .tflite_file import TfliteOperator, TfliteTensor

__all__ = ["geometry", "image_of", "window_of_options"]


def image_of(builder: Builder, op: TfliteOperator) -> tuple[TfliteTensor, tuple[int, ...]]:
    """Input 0 and its shape with channels first."""
    tensor = builder.input(op, 0)
    if len(tensor.shape) != 4:
        raise op.refuse(f"tensor {tensor.name!r} must have 4 dimensions, not shape {list(tensor.shape)}")
    n, height, width, channels = tensor.shape
    return tensor, (n, channels, height, width)


def window_of_options(
    op: TfliteOperator, image: tuple[int, ...], kernel: tuple[int, int], options: object, *, dilated: bool = True
) -> Window:
    get = {name: getattr(options, name)() for name in ("StrideH", "StrideW", "Padding")}
    dilations = (1, 1)
    if dilated:
        dilations = (options.DilationHFactor(), options.DilationWFactor())  # type: ignore[attr-defined]
    if get["Padding"] not in (Padding.SAME, Padding.VALID):
        raise op.refuse(f"its padding must be SAME or VALID, not {get['Padding']}")
    attributes = {
        "strides": (get["StrideH"], get["StrideW"]),
        "dilations": dilations,
        "auto_pad": "SAME_UPPER" if get["Padding"] == Padding.SAME else "VALID",
    }
    return window_of(Node(op.name, op.kind, (), (), attributes), image, kernel)


def geometry(window: Window) -> dict[str, object]:
    return {"strides": window.strides, "dilations": window.dilations, "pads": window.pads}
