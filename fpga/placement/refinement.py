"""Refine a placement by simulated annealing, for short paths first and short wires second.

The frame is VPR's (Betz and Rose, "VPR: a new packing, placement and routing tool for FPGA research", FPL 1997): moves
within a range that shrinks, and half-perimeter wire length. Connections are weighted by criticality as in Marquardt,
Betz and Rose, "Timing-driven placement for FPGAs" (FPGA 2000), but each by all paths through it, as the gradient of the
sum over paths has it, and not by its worst one: else what drives many late cells is pulled to them by each, and from
behind by one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .native import Annealer, Figures, Round
from .placed_design import PlacedDesign
from .problem import Problem

__all__ = ["Effort", "Estimate", "Refinement", "refine"]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How the annealing goes; pairs are at its begin and its end, between them by equal factors.

    Members
    -------
    rounds
        Temperatures.
    moves
        Tried in a round, for each group of cells that moves as one.
    temperature
        In tiles of wire length: at first high enough to take apart what nextpnr left far from all it belongs to.
    range
        How far a move goes, in tiles.
    per_ns
        What a ns on a path that is among the longest is worth, in tiles of wire length.
    exponent
        Of criticality.
    analyses
        Of timing, in a round.
    memory
        Of a connection's weight: what remains at the next analysis. Without it weights swing.
    ends_beyond
        Share of the registers whose paths count as too long: longest path alone would let one outlier hide all others.
    critical_percent
        Of moves: those of cells on such paths.
    """

    rounds: int = 30
    moves: int = 80
    temperature: tuple[float, float] = (6.0, 0.05)
    range: tuple[float, float] = (25.0, 3.0)
    per_ns: tuple[float, float] = (20.0, 150.0)
    exponent: tuple[float, float] = (8.0, 24.0)
    analyses: int = 60
    memory: float = 0.9
    ends_beyond: float = 0.002
    critical_percent: int = 40


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a placement promises.

    Members
    -------
    wire_length
        Half perimeters of all nets, in tiles.
    longest
        Path, in ns.
    long
        ns that few paths exceed: those of a share ``ends_beyond`` of all registers.
    """

    wire_length: int
    longest: float
    long: float

    @property
    def mhz(self) -> float:
        """The clock that the longest path allows."""
        return 1000 / self.longest if self.longest else 0.0


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """What came of it: estimates before and after, by the same rules."""

    before: Estimate
    after: Estimate


def refine(
    design: PlacedDesign,
    *,
    seed: int = 1,
    effort: Effort | None = None,
    progress: Callable[[float, Estimate], object] = lambda share, estimate: None,
) -> Refinement:
    """Move the cells of `design`.

    The same `seed` gives the same placement on every machine. What a user has placed stays there.

    Parameters
    ----------
    progress
        Called after each round with the share that is done; what it raises ends the work.

    Raises
    ------
    DeviceError
        The native code can't be had.
    """
    effort = effort or Effort()
    problem = Problem(design.cells)
    annealer = Annealer(problem)
    before = _estimate(annealer.run(_round(effort, 0.0, moves=0, seed=seed)))
    best, slots = before, problem.cell_slot.copy()
    groups = problem.groups
    for number in range(effort.rounds):
        done = number / max(effort.rounds - 1, 1)
        figures = annealer.run(_round(effort, done, moves=effort.moves * groups, seed=(seed << 32) + number))
        now = _estimate(figures)
        progress((number + 1) / effort.rounds, now)
        if done >= 0.5 and _rank(now) < _rank(best):
            best, slots = now, problem.cell_slot.copy()
    for cell, slot in zip(design.cells, slots.tolist(), strict=True):
        problem.grid.put(cell, slot)
    return Refinement(before=before, after=best)


def _rank(estimate: Estimate) -> tuple[float, int]:
    """Less is better. The router adds to some paths and not to others, so few long ones count like a short longest."""
    return round(estimate.longest + estimate.long, 2), estimate.wire_length


def _round(effort: Effort, done: float, *, moves: int, seed: int) -> Round:
    def between(ends: tuple[float, float]) -> float:
        return float(ends[0] * (ends[1] / ends[0]) ** done)

    return Round(
        temperature=between(effort.temperature),
        per_ns=between(effort.per_ns),
        memory=effort.memory,
        ends_beyond=effort.ends_beyond,
        exponent=round(between(effort.exponent)),
        range=max(1, round(between(effort.range))),
        critical_percent=effort.critical_percent,
        moves=moves,
        moves_per_analysis=max(1, moves // effort.analyses),
        seed=seed,
    )


def _estimate(figures: Figures) -> Estimate:
    return Estimate(wire_length=round(figures.wire_length), longest=figures.worst, long=figures.reference)
