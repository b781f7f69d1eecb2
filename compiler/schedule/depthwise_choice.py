"""What a depthwise convolution leaves open: its tiles, and which engine does how much of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from .window_tiling import TileSize, WindowChoice, WindowTiling

__all__ = ["DepthwiseChoice", "DepthwiseTiling"]

_SHARES = 2  # blocks or rows of which the matrix engine may have more or fewer
_TILES = 1  # tiles that are tried with each share


@dataclass(frozen=True)
class DepthwiseTiling:
    """A tile for each engine, and the matrix engine's share: the first channel blocks or, if not 0, rows."""

    blocks: int
    rows: int
    columns: int
    gemm_blocks: int = 0
    gemm_rows: int = 0

    @property
    def share(self) -> tuple[int, int]:
        return self.gemm_blocks, self.gemm_rows


@dataclass(frozen=True)
class DepthwiseChoice:
    """The tile and share of a depthwise convolution.

    Members
    -------
    tile
        The choice of a tile where the vector engine does all.
    fits_both
        As `tile.fits`, where the matrix engine takes part.
    share
        What a closed form finds best; (0, 0) where the matrix engine cannot take part.
    """

    tile: WindowChoice
    fits_both: Callable[[TileSize, int], bool]
    share: tuple[int, int]

    def heuristic(self) -> DepthwiseTiling:
        """The largest tile, and the share that keeps both engines busy."""
        return self._tiling(self._tiles(self.share).heuristic(), self.share)

    def admits(self, decision: object) -> bool:
        """Whether tile and share fit."""
        if not isinstance(decision, DepthwiseTiling):
            return False
        possible = decision.share in ((0, 0), self.share) or decision.share in self._shares()
        tile = WindowTiling(decision.blocks, decision.rows, decision.columns)
        return possible and self._tiles(decision.share).admits(tile)

    def space(self) -> list[DepthwiseTiling]:
        """All tiles with the heuristic's share, and a few with others."""
        found = [self._tiling(tile, self.share, whole=False) for tile in self._tiles(self.share).space()]
        for share in self._shares():
            tiles = self._tiles(share)
            found += [self._tiling(tile, share) for tile in [tiles.heuristic(), *tiles.space()[:_TILES]]]
        return list(dict.fromkeys(found))

    def _shares(self) -> list[tuple[int, int]]:
        """Others than the heuristic's: none, all, and some more or fewer blocks or rows."""
        if not any(self.share):
            return []
        place = 0 if self.share[0] else 1
        most = (self.tile.y.blocks, self.tile.y.shape[2])[place]
        near = range(self.share[place] - _SHARES, self.share[place] + _SHARES + 1)
        counts = {0, most, *(count for count in near if 0 <= count <= most)} - {self.share[place]}
        return [(count, 0) if place == 0 else (0, count) for count in sorted(counts)]

    def _tiles(self, share: tuple[int, int]) -> WindowChoice:
        return replace(self.tile, fits=self.fits_both) if any(share) else self.tile

    def _tiling(self, tile: WindowTiling, share: tuple[int, int], *, whole: bool = True) -> DepthwiseTiling:
        """`whole`: where rows are shared, those of `tile` are meant for both engines together."""
        rows = -(-tile.rows // 2) if whole and share[1] else tile.rows
        return DepthwiseTiling(tile.blocks, rows, tile.columns, *share)
