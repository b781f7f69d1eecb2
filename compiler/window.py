"""Sliding windows, which convolution and pooling share: geometry and NumPy views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """Two-dimensional geometry; pairs are (vertical, horizontal).

    Members
    -------
    pads
        Rows above, columns to the left, rows below, columns to the right, as ONNX orders them.
    output
        How many windows there are.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    output: tuple[int, int]

    @classmethod
    def of_pixels(cls, size: tuple[int, int]) -> Window:
        """Windows that see one pixel each of an image of `size`."""
        return cls((1, 1), (1, 1), (1, 1), (0, 0, 0, 0), size)

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns from a window's first to its last, inclusive."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))  # type: ignore[return-value]

    @property
    def padded(self) -> bool:
        return any(self.pads)

    def views(self, image: np.ndarray, fill: int | float) -> np.ndarray:
        """(N, C, H, W) → (N, C, OH, OW, KH, KW): what each window sees, `fill` outside the image."""
        height = (self.output[0] - 1) * self.strides[0] + self.reach[0]
        width = (self.output[1] - 1) * self.strides[1] + self.reach[1]
        top, left = self.pads[:2]
        frame = np.full(
            (*image.shape[:2], max(height, top + image.shape[2]), max(width, left + image.shape[3])), fill, image.dtype
        )
        frame[:, :, top : top + image.shape[2], left : left + image.shape[3]] = image
        views = np.lib.stride_tricks.sliding_window_view(frame[:, :, :height, :width], self.reach, axis=(2, 3))
        s, d = self.strides, self.dilations
        return np.asarray(views[:, :, :: s[0], :: s[1], :: d[0], :: d[1]])
