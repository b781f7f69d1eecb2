"""Tile sizes of a convolution: every choice that fits is rated by a closed form, the best is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ...config import Config
from ...errors import TilewrightError
from ..window import Window
from .scope import UNBOUNDED

__all__ = ["ConvShape", "ConvTiling", "choose_tiling"]

_ITEM_OVERHEAD = 40
_LINE_OVERHEAD = 4


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

    def frame_pixels(self, tiling: ConvTiling) -> int:
        (down, right), (reach_down, reach_right) = self.window.strides, self.window.reach
        return ((tiling.rows - 1) * down + reach_down) * ((tiling.columns - 1) * right + reach_right)

    def frame_lines(self, tiling: ConvTiling) -> int:
        return (tiling.rows - 1) * self.window.strides[0] + self.window.reach[0]

    def chunk(self, tiling: ConvTiling) -> int:
        """Weight tiles of an item."""
        return tiling.outputs * self.sub_out * tiling.inputs * self.sub_in * self.taps


def choose_tiling(config: Config, shape: ConvShape, layer: str, room: tuple[int, int]) -> ConvTiling:
    """The fastest by estimate among those that leave room for two tiles; else among those that fit at all.

    `room`: granules of ACT for images and for results; UNBOUNDED for what is resident.

    Raises
    ------
    TilewrightError
        Nothing fits.
    """
    candidates = list(_candidates(shape))
    for share in (2, 1):
        fitting = [tiling for tiling in candidates if _fits(config, shape, tiling, share, room)]
        if fitting:
            return min(fitting, key=lambda tiling: _cycles(config, shape, tiling, room))
    kernel, channels = "×".join(map(str, shape.window.kernel)), config.channels
    raise TilewrightError(
        f"layer {layer!r} must fit the memories of {config.name}, but one output of its {kernel} windows over "
        f"{channels} channels does not; use a configuration with larger act_depth, wgt_depth or acc_depth"
    )


def _splits(total: int) -> list[int]:
    """The sizes of pieces when `total` is cut into 1, 2, 3 … as equal as can be."""
    return sorted({-(-total // parts) for parts in range(1, total + 1)}, reverse=True)


def _candidates(shape: ConvShape) -> Iterator[ConvTiling]:
    sizes = (
        _splits(-(-shape.rows // shape.bands)),
        _splits(shape.columns),
        [shape.blocks_out] if shape.together else _splits(shape.blocks_out),
        _splits(shape.blocks_in),
    )
    for rows, columns, outputs, inputs in product(*sizes):
        for groups_outside in (False, True) if outputs < shape.blocks_out else (False,):
            yield ConvTiling(rows, columns, outputs, inputs, groups_outside)


def _fits(config: Config, shape: ConvShape, tiling: ConvTiling, share: int, room: tuple[int, int]) -> bool:
    pixel, pixels = config.channels // config.granule, tiling.rows * tiling.columns
    images, results = room
    cells = tiling.outputs * shape.sub_out
    terms = tiling.outputs * pixels if shape.brought else 0
    return (
        (tiling.inputs * shape.frame_pixels(tiling) + terms) * pixel * share <= images
        and terms * pixel * share <= shape.brought
        and tiling.outputs * pixels * pixel * share <= results
        and cells * pixels * share <= config.acc_depth
        and shape.chunk(tiling) * share <= config.wgt_depth
        and cells * share <= min(config.bias_depth, config.scale_depth)
    )


def _cycles(config: Config, shape: ConvShape, tiling: ConvTiling, room: tuple[int, int]) -> float:
    """Estimate: the larger of computing and loading, plus what nothing overlaps."""
    resident, stays_there = (granules == UNBOUNDED for granules in room)
    tiles = shape.images * -(-shape.rows // (tiling.rows * shape.bands)) * -(-shape.columns // tiling.columns)
    groups, passes = -(-shape.blocks_out // tiling.outputs), -(-shape.blocks_in // tiling.inputs)
    tile_bytes = config.block_in * config.block_out
    frame = 0 if resident else shape.bands * tiling.inputs * shape.frame_pixels(tiling) * config.channels
    all_weights = shape.blocks_out * shape.sub_out * shape.blocks_in * shape.sub_in * shape.taps
    stays = all_weights <= config.wgt_depth or (passes == 1 and tiling.groups_outside)
    weights = all_weights * tile_bytes * (1 if stays else tiles)
    again = groups if passes > 1 or (tiling.groups_outside and tiles > 1) else 1
    loaded = weights + tiles * passes * again * frame
    lines = 0 if resident else shape.bands * tiling.inputs * shape.frame_lines(tiling)
    if shape.brought:
        loaded += shape.images * shape.rows * shape.columns * shape.blocks_out * config.channels
        lines += shape.bands * tiling.outputs * tiling.rows
    loading = loaded / config.bus_bytes + _LINE_OVERHEAD * tiles * passes * again * lines
    work = shape.images * -(-shape.rows // shape.bands) * shape.columns * all_weights
    pixels = tiling.rows * tiling.columns
    start = 0 if resident else (frame + shape.chunk(tiling) * tile_bytes) / config.bus_bytes
    stored = 0 if stays_there else config.channels / config.bus_bytes
    end = pixels * tiling.outputs * (shape.passes * shape.sub_out * config.block_out / config.vector_lanes + stored)
    return max(work, loading) + start + end + _ITEM_OVERHEAD * tiles * groups * passes
