"""Tile sizes of a convolution: every choice that fits is rated by a closed form."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np

from ...config import Config
from ...errors import TilewrightError
from ..window import Window
from .scope import UNBOUNDED
from .splits import splits

__all__ = ["ConvChoice", "ConvShape", "ConvTiling"]

_ITEM_OVERHEAD = 40
_LINE_OVERHEAD = 4
_LIKELIEST = 6  # tilings worth a try: so many of the best by estimate,
_VALUES = 6  # and the best with each of so many values of each size


@dataclass(frozen=True)
class ConvTiling:
    """Output `rows` of a band and `columns` of a tile; channel blocks of an output group and of an input pass."""

    rows: int
    columns: int
    outputs: int
    inputs: int
    groups_outside: bool


@dataclass(frozen=True)
class ConvShape:
    """What the choice depends on.

    Members
    -------
    blocks_in, blocks_out
        Channel blocks of ``config.channels``.
    sub_in
        Weight tiles that an input block takes, fewer than usual where the only block is partly empty.
    parts
        Into how many int8 each weight is split.
    bands
        Bands of rows that are computed at once, one by each row of the core.
    together
        Whether an item must make all output blocks.
    passes
        Of the vector engine over its results.
    brought
        Granules of ACT through which something of their size comes, to be added to them; 0 where nothing does.
    """

    images: int
    rows: int
    columns: int
    blocks_in: int
    blocks_out: int
    sub_in: int
    sub_out: int
    parts: int
    bands: int
    window: Window
    together: bool
    passes: int
    brought: int

    @classmethod
    def of(
        cls,
        config: Config,
        x: tuple[int, ...],
        y: tuple[int, ...],
        window: Window,
        *,
        parts: int,
        together: bool = False,
        passes: int = 1,
        brought: int = 0,
    ) -> ConvShape:
        blocks_in = -(-x[1] // config.channels)
        sub = config.channels // config.block_in if blocks_in > 1 else -(-x[1] // config.block_in)
        blocks_out = -(-y[1] // config.channels)
        sub_out = config.channels // config.block_out
        sizes = (y[0], y[2], y[3], blocks_in, blocks_out, sub, sub_out)
        return cls(*sizes, parts, config.rows, window, together, passes, brought)

    @property
    def taps(self) -> int:
        """Weight tiles for a tile of inputs and one of outputs."""
        return self.window.kernel[0] * self.window.kernel[1] * self.parts


class _Grid:
    """Many tilings at once: int64 arrays, in the order in which ties are decided."""

    def __init__(self, shape: ConvShape, tilings: np.ndarray) -> None:
        """`tilings`: (n, 5), the members of ConvTiling."""
        (down, right), (reach_down, reach_right) = shape.window.strides, shape.window.reach
        self.rows, self.columns, self.outputs, self.inputs, outside = tilings.T
        self.groups_outside = outside != 0
        self.pixels = self.rows * self.columns
        self.frame_lines = (self.rows - 1) * down + reach_down
        self.frame_pixels = self.frame_lines * ((self.columns - 1) * right + reach_right)
        self.chunk = self.outputs * shape.sub_out * self.inputs * shape.sub_in * shape.taps


@dataclass(frozen=True)
class ConvChoice:
    """The tiling of a convolution.

    Members
    -------
    room
        Granules of ACT for images and for results; UNBOUNDED for what is resident.
    """

    config: Config
    shape: ConvShape
    layer: str
    room: tuple[int, int]

    def heuristic(self) -> ConvTiling:
        """The fastest by estimate among those that leave room for two tiles; else among those that fit at all.

        Raises
        ------
        TilewrightError
            Nothing fits.
        """
        for share in (2, 1):
            fitting = self._all[self._fits(_Grid(self.shape, self._all), share)]
            if len(fitting):
                return _tiling(fitting[np.argmin(self._cycles(_Grid(self.shape, fitting)))])
        kernel, channels = "×".join(map(str, self.shape.window.kernel)), self.config.channels
        raise TilewrightError(
            f"layer {self.layer!r} must fit the memories of {self.config.name}, but one output of its {kernel} windows "
            f"over {channels} channels does not; use a configuration with larger act_depth, wgt_depth or acc_depth"
        )

    def admits(self, decision: object) -> bool:
        """Whether it is a tiling of this convolution that fits."""
        if not isinstance(decision, ConvTiling):
            return False
        shape, sizes = self.shape, np.array(astuple(decision)[:4])
        most = np.array([-(-shape.rows // shape.bands), shape.columns, shape.blocks_out, shape.blocks_in])
        whole = not shape.together or decision.outputs == shape.blocks_out
        row = np.array([astuple(decision)], np.int64)
        return bool(whole and np.all((sizes >= 1) & (sizes <= most)) and self._fits(_Grid(shape, row), 1)[0])

    def space(self) -> list[ConvTiling]:
        """The best by estimate, with room for two and for one, and the best with each of the largest sizes."""
        fitting = self._all[self._fits(_Grid(self.shape, self._all), 1)]
        twice = self._fits(_Grid(self.shape, fitting), 2)
        order = np.argsort(self._cycles(_Grid(self.shape, fitting)), kind="stable")
        chosen = {*order[twice[order]][:_LIKELIEST].tolist(), *order[~twice[order]][: _LIKELIEST // 2].tolist()}
        for column in range(4):
            for value in np.unique(fitting[:, column])[::-1][:_VALUES]:
                chosen |= {*order[fitting[order, column] == value][:1].tolist()}
        return [_tiling(fitting[place]) for place in order.tolist() if place in chosen]

    @cached_property
    def _all(self) -> np.ndarray:
        """All tilings, (n, 5)."""
        shape = self.shape
        sizes = (
            splits(-(-shape.rows // shape.bands)),
            splits(shape.columns),
            [shape.blocks_out] if shape.together else splits(shape.blocks_out),
            splits(shape.blocks_in),
            [0, 1],
        )
        grid = np.stack(np.meshgrid(*sizes, indexing="ij"), axis=-1).reshape(-1, len(sizes)).astype(np.int64)
        return np.asarray(grid[(grid[:, 4] == 0) | (grid[:, 2] < shape.blocks_out)])

    def _fits(self, grid: _Grid, share: int) -> np.ndarray:
        config, shape = self.config, self.shape
        images, results = self.room
        pixel, cells = config.channels // config.granule, grid.outputs * shape.sub_out
        terms = grid.outputs * grid.pixels if shape.brought else 0
        fits = (
            ((grid.inputs * grid.frame_pixels + terms) * pixel * share <= images)
            & (terms * pixel * share <= shape.brought)
            & (grid.outputs * grid.pixels * pixel * share <= results)
            & (cells * grid.pixels * share <= config.acc_depth)
            & (grid.chunk * share <= config.wgt_depth)
            & (cells * share <= min(config.bias_depth, config.scale_depth))
        )
        return np.asarray(fits)

    def _cycles(self, grid: _Grid) -> np.ndarray:
        """Estimate: the larger of computing and loading, plus what nothing overlaps."""
        config, shape = self.config, self.shape
        resident, stays_there = (granules == UNBOUNDED for granules in self.room)
        tiles = shape.images * -(-shape.rows // (grid.rows * shape.bands)) * -(-shape.columns // grid.columns)
        groups, passes = -(-shape.blocks_out // grid.outputs), -(-shape.blocks_in // grid.inputs)
        tile_bytes = config.block_in * config.block_out
        frame = 0 if resident else shape.bands * grid.inputs * grid.frame_pixels * config.channels
        all_weights = shape.blocks_out * shape.sub_out * shape.blocks_in * shape.sub_in * shape.taps
        stays = (all_weights <= config.wgt_depth) | ((passes == 1) & grid.groups_outside)
        weights = all_weights * tile_bytes * np.where(stays, 1, tiles)
        again = np.where((passes > 1) | (grid.groups_outside & (tiles > 1)), groups, 1)
        loaded = weights + tiles * passes * again * frame
        lines = 0 if resident else shape.bands * grid.inputs * grid.frame_lines
        if shape.brought:
            loaded = loaded + shape.images * shape.rows * shape.columns * shape.blocks_out * config.channels
            lines = lines + shape.bands * grid.outputs * grid.rows
        loading = loaded / config.bus_bytes + _LINE_OVERHEAD * tiles * passes * again * lines
        work = shape.images * -(-shape.rows // shape.bands) * shape.columns * all_weights
        start = 0 if resident else (frame + grid.chunk * tile_bytes) / config.bus_bytes
        stored = 0 if stays_there else config.channels / config.bus_bytes
        passed = shape.passes * shape.sub_out * config.block_out / config.vector_lanes
        end = grid.pixels * grid.outputs * (passed + stored)
        return np.asarray(np.maximum(work, loading) + start + end + _ITEM_OVERHEAD * tiles * groups * passes)


def _tiling(row: np.ndarray) -> ConvTiling:
    rows, columns, outputs, inputs, outside = row.tolist()
    return ConvTiling(rows, columns, outputs, inputs, bool(outside))
