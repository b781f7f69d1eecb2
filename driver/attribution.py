"""Whose every cycle of a run was: layers overlap, and their cycles add up all the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..isa.instruction import Instruction
from ..isa.program import Program, Run
from ..isa.table import Engine
from .activity import PRIORITY, Activity, EngineWork, engine_work
from .ownership import instruction_owners
from .session import StepRecord

__all__ = ["Attribution", "attribute"]

_NOBODY = -1


@dataclass(frozen=True)
class Attribution:
    """A run cut into stretches, each of them one layer's.

    Constants of the next layer are fetched, and its first tile is worked on, while the last results of a layer are on
    their way; so a layer has no first and last cycle. Instead, a cycle belongs to the layer that gemm works for; where
    gemm has nothing to do, to the one that vector works for; else load; else store. Where no engine works, it is the
    layer's that is worked for next.

    Members
    -------
    work
        Each engine's instructions in time.
    owners
        The layer of each instruction of the run; see :func:`.instruction_owners`.
    edges
        Cycles from the launch at which stretches begin, and the run's end; int64, shape (n + 1,).
    layers
        The number of each stretch's layer in ``program.layers``, -1 for none; int64, shape (n,).
    """

    work: Mapping[Engine, EngineWork]
    owners: np.ndarray
    edges: np.ndarray
    layers: np.ndarray

    def cycles(self, layer: int) -> int:
        return int(np.diff(self.edges)[self.layers == layer].sum())

    def activities(self, layer: int) -> dict[Engine, Activity]:
        """What each engine did in this layer's cycles and for this layer."""
        mine = self.layers == layer
        begins, lengths = self.edges[:-1][mine], np.diff(self.edges)[mine]
        found = {}
        for engine, work in self.work.items():
            place = work.at(begins)
            place, spent = place[place >= 0], lengths[place >= 0]
            occupied = np.where(self.owners[work.index[place]] == layer, spent, 0)
            bank = round(float((occupied * work.held[place]).sum()))
            found[engine] = Activity(int(occupied.sum()) - bank, bank)
        return found


def attribute(program: Program, record: StepRecord, instructions: Sequence[Instruction]) -> Attribution:
    """Whose the cycles of a run are; `record` must be of a Run of these `instructions`, and have events."""
    assert isinstance(record.step, Run) and record.events is not None
    owners = instruction_owners(program, record.step)
    work = engine_work(instructions, record.events, program.config)
    total = record.counters["cycles"]
    moments = np.concatenate([[0], *(np.concatenate([each.begin, each.end]) for each in work.values()), [total]])
    edges = np.unique(np.clip(moments, 0, total))
    layers = np.full(len(edges) - 1, _NOBODY)
    for engine in PRIORITY:
        place = work[engine].at(edges[:-1])
        served = np.where(place >= 0, owners[work[engine].index[place]], _NOBODY) if len(work[engine].index) else place
        layers = np.where(layers == _NOBODY, served, layers)
    return Attribution(work, owners, edges, _filled(layers))


def _filled(layers: np.ndarray) -> np.ndarray:
    """Nobody's stretches given to the next layer, those at the end to the last."""
    known = np.flatnonzero(layers != _NOBODY)
    if not len(known):
        return layers
    following = np.searchsorted(known, np.arange(len(layers)))
    return layers[known[np.minimum(following, len(known) - 1)]]
