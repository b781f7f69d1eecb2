"""A convolutional network in plain NumPy: forward, backward, Adam. Activations are [N][H][W][C], float32."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Network", "Parameter"]

Array = NDArray[np.float32]


@dataclass
class Parameter:
    """A weight with its gradient and Adam's moments."""

    value: Array
    gradient: Array = field(init=False)
    moments: tuple[Array, Array] = field(init=False)

    def __post_init__(self) -> None:
        self.gradient = np.zeros_like(self.value)
        self.moments = (np.zeros_like(self.value), np.zeros_like(self.value))

    def step(self, rate: float, number: int, decay: float) -> None:
        """One step of Adam with decoupled weight decay; `number` counts from 1."""
        first, second = self.moments
        first += 0.1 * (self.gradient - first)
        second += 0.001 * (self.gradient**2 - second)
        update = (first / (1 - 0.9**number)) / (np.sqrt(second / (1 - 0.999**number)) + 1e-8)
        self.value -= (rate * (update + decay * self.value)).astype(np.float32)


class Conv:
    """Square odd kernel, stride 1, padding that keeps the size. Weight [KH · KW · CI][CO]."""

    def __init__(self, rng: np.random.Generator, kernel: int, inputs: int, outputs: int) -> None:
        fan = kernel * kernel * inputs
        self.kernel = kernel
        self.weight = Parameter((rng.standard_normal((fan, outputs)) * np.sqrt(2 / fan)).astype(np.float32))
        self.bias = Parameter(np.zeros(outputs, np.float32))

    @property
    def parameters(self) -> list[Parameter]:
        return [self.weight, self.bias]

    def forward(self, x: Array) -> Array:
        pad = self.kernel // 2
        padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.kernel, self.kernel), axis=(1, 2))
        self.shape = x.shape
        self.columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, self.weight.value.shape[0])
        return (self.columns @ self.weight.value + self.bias.value).reshape(*x.shape[:3], -1)

    def backward(self, gradient: Array) -> Array:
        flat = gradient.reshape(-1, gradient.shape[-1])
        self.weight.gradient = self.columns.T @ flat
        self.bias.gradient = flat.sum(axis=0)
        n, height, width, inputs = self.shape
        k, pad = self.kernel, self.kernel // 2
        columns = (flat @ self.weight.value.T).reshape(n, height, width, k, k, inputs)
        padded = np.zeros((n, height + 2 * pad, width + 2 * pad, inputs), np.float32)
        for y in range(k):
            for x in range(k):
                padded[:, y : y + height, x : x + width] += columns[:, :, :, y, x]
        return padded[:, pad : pad + height, pad : pad + width]


class Relu:
    def forward(self, x: Array) -> Array:
        self.live = x > 0
        return np.where(self.live, x, np.float32(0))

    def backward(self, gradient: Array) -> Array:
        return np.where(self.live, gradient, np.float32(0))


class MaxPool:
    """2×2, stride 2."""

    def forward(self, x: Array) -> Array:
        n, height, width, channels = x.shape
        tiles = x.reshape(n, height // 2, 2, width // 2, 2, channels)
        result: Array = tiles.max(axis=(2, 4))
        chosen = tiles == result[:, :, None, :, None]
        self.share = chosen / chosen.sum(axis=(2, 4), keepdims=True, dtype=np.float32)
        return result

    def backward(self, gradient: Array) -> Array:
        n, height, width, channels = gradient.shape
        spread: Array = self.share * gradient[:, :, None, :, None]
        return spread.reshape(n, height * 2, width * 2, channels)


class AveragePool:
    """2×2, stride 2."""

    def forward(self, x: Array) -> Array:
        n, height, width, channels = x.shape
        means: Array = x.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
        return means

    def backward(self, gradient: Array) -> Array:
        return np.repeat(np.repeat(gradient, 2, axis=1), 2, axis=2) / np.float32(4)


class Dense:
    """Weight [CI][CO], over the flattened input."""

    def __init__(self, rng: np.random.Generator, inputs: int, outputs: int) -> None:
        self.weight = Parameter((rng.standard_normal((inputs, outputs)) / np.sqrt(inputs)).astype(np.float32))
        self.bias = Parameter(np.zeros(outputs, np.float32))

    @property
    def parameters(self) -> list[Parameter]:
        return [self.weight, self.bias]

    def forward(self, x: Array) -> Array:
        self.input = x.reshape(len(x), -1)
        self.shape = x.shape
        return self.input @ self.weight.value + self.bias.value

    def backward(self, gradient: Array) -> Array:
        self.weight.gradient = self.input.T @ gradient
        self.bias.gradient = gradient.sum(axis=0)
        return (gradient @ self.weight.value.T).reshape(self.shape)


class Network:
    """8×8×1 to 10 logits: a convolution, a residual pair of branches, two poolings, a last layer.

    `forward` keeps every tensor that the quantiser needs the range of in `taps`, by name.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.stem, self.left1, self.left2 = Conv(rng, 3, 1, 16), Conv(rng, 3, 16, 16), Conv(rng, 3, 16, 16)
        self.right, self.wide, self.last = Conv(rng, 1, 16, 16), Conv(rng, 3, 16, 32), Dense(rng, 128, 10)
        self.relus = {name: Relu() for name in ("stem", "left1", "add", "wide")}
        self.max_pool, self.average_pool = MaxPool(), AveragePool()
        self.taps: dict[str, Array] = {}

    @property
    def parameters(self) -> list[Parameter]:
        layers = (self.stem, self.left1, self.left2, self.right, self.wide, self.last)
        return [parameter for layer in layers for parameter in layer.parameters]

    def forward(self, x: Array) -> Array:
        """Logits, shape (n, 10), of images (n, 8, 8, 1)."""
        taps = self.taps = {"image": x}
        taps["stem"] = self.relus["stem"].forward(self.stem.forward(x))
        taps["left1"] = self.relus["left1"].forward(self.left1.forward(taps["stem"]))
        taps["left2"] = self.left2.forward(taps["left1"])
        taps["right"] = self.right.forward(taps["stem"])
        taps["add"] = self.relus["add"].forward(taps["left2"] + taps["right"])
        taps["max_pool"] = self.max_pool.forward(taps["add"])
        taps["wide"] = self.relus["wide"].forward(self.wide.forward(taps["max_pool"]))
        taps["average_pool"] = self.average_pool.forward(taps["wide"])
        taps["last"] = self.last.forward(taps["average_pool"])
        return taps["last"]

    def backward(self, gradient: Array) -> None:
        """Fill in every parameter's gradient from that of the logits."""
        pooled = self.average_pool.backward(self.last.backward(gradient))
        summed = self.max_pool.backward(self.wide.backward(self.relus["wide"].backward(pooled)))
        summed = self.relus["add"].backward(summed)
        left = self.left1.backward(self.relus["left1"].backward(self.left2.backward(summed)))
        self.stem.backward(self.relus["stem"].backward(left + self.right.backward(summed)))
