"""The search for a better schedule of a network: layer by layer between their neighbours, then as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...config import Config
from ..assemble import Core
from ..graph import Graph
from ..placement import Part
from ..schedule.decision import Choice, Schedule
from .clock import BEFORE, Clock, Layers
from .database import Key, NetworkEntry, OperatorEntry, TuningDatabase
from .measure import Measure
from .workload import compiler_version, network_key, window_key

__all__ = ["QUICK", "THOROUGH", "Effort", "Progress", "Tuner"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long a search goes on; in instructions that are made for timing, so that it ends alike on every machine.

    Members
    -------
    level
        Of two efforts, the more thorough one has the higher.
    layers, network
        Instructions for timing layers, and for timing the whole network.
    decisions, trials
        Decisions of each choice that are timed, and times of the whole network, whatever they take.
    kept
        The best decisions of a choice, which the whole network tries.
    """

    level: int
    layers: int
    network: int
    decisions: int
    trials: int
    kept: int = 3


QUICK = Effort(level=1, layers=2_000, network=900, decisions=3, trials=2)
THOROUGH = Effort(level=2, layers=60_000, network=24_000, decisions=6, trials=4)


@dataclass
class Tuner:
    """Gives the compiler schedules: those that `database` knows and, if `search`, better ones that it looks for.

    A search has a bounded effort, and its outcome does not depend on the machine or its load. It is never slower than
    the heuristics. What it finds is written to the database at once, and what that knows is not searched again.

    Parameters
    ----------
    measure
        Makes the clock for a configuration.
    name
        Of the network, for people.
    effort
        Of the search.
    progress
        Is told what is under way.

    Members
    -------
    entry
        What the database has for the network that was compiled last; None where there is nothing.
    """

    database: TuningDatabase
    measure: Callable[[Config], Measure]
    search: bool = False
    name: str = "network"
    effort: Effort = QUICK
    progress: Progress = field(default=lambda _: None)
    entry: NetworkEntry | None = field(default=None, init=False)

    def __call__(self, graph: Graph, config: Config) -> Schedule:
        """The schedule for a lowered graph."""
        self.entry = None
        if not any(node.target == "accelerator" for node in graph.nodes) or not (self.search or self.database.filled):
            return Schedule()
        measure = self.measure(config)
        if self.search:
            self.entry = _Search(graph, config, measure, self).run()
        else:
            self.entry = self.database.network(network_key(graph), _database_key(config, measure))
        return Schedule() if self.entry is None else self.entry.schedule


def _database_key(config: Config, measure: Measure) -> Key:
    return Key(config.hash, f"{compiler_version()} {measure.identity}")


class _Search:
    """One network's.

    Members
    -------
    best
        What the whole network was timed with.
    layers
        The decisions that seem best for each layer.
    ranked
        By layer and number of its choice: the best of its decisions, and what was measured.
    trials, spent
        Times of the whole network, and the instructions that were made for them.
    """

    best: NetworkEntry

    def __init__(self, graph: Graph, config: Config, measure: Measure, tuner: Tuner) -> None:
        self.config = config
        self.database = tuner.database
        self.progress = tuner.progress
        self.effort = tuner.effort
        self.clock = Clock(graph, config, measure)
        self.workload = network_key(graph)
        self.key = _database_key(config, measure)
        self.name = tuner.name
        self.layers: dict[str, tuple[Any, ...]] = {}
        self.ranked: dict[tuple[str, int], OperatorEntry] = {}
        self.spent = 0
        self.trials = 0

    def run(self) -> NetworkEntry:
        known = self.database.network(self.workload, self.key)
        if known is not None and known.searched >= self.effort.level:
            return known
        self.progress("heuristic schedule")
        core, cycles = self.clock.network(Schedule())
        self.best = NetworkEntry(self.name, self.config.name, Schedule(), cycles, cycles, 0)
        self.layers = {name: tuple(made) for name, made in core.decisions.made.items()}
        self._rank_layers(core)
        self.progress("whole network")
        self._combine([name for name, made in core.decisions.made.items() if self.layers[name] != tuple(made)])
        self._leave(core)
        self._refine(core)
        if known is not None and known.cycles < self.best.cycles:
            self.best = known
        self.best = replace(self.best, searched=self.effort.level)
        self.database.put_network(self.workload, self.key, self.best)
        return self.best

    def _rank_layers(self, core: Core) -> None:
        """Find each layer's best decisions, those before it having theirs."""
        choices = [
            (part, place, number, choice)
            for part in core.placement.parts
            for place, node in enumerate(part.nodes)
            for number, choice in enumerate(core.decisions.asked.get(node.name, ()))
        ]
        for part, place, number, choice in choices:
            layer = part.nodes[place].name
            self.progress(f"layer {layer}")
            nodes = part.nodes[max(place - BEFORE, 0) : place + 2]
            made = [self.layers.get(node.name, ()) for node in nodes]
            asked = (min(place, BEFORE), number)
            window = window_key(core.placement, part.first, nodes, made, asked)
            workload = f"{window} effort {self.effort.level}"
            entry = self.database.operator(workload, self.key)
            if entry is None or not all(map(choice.admits, entry.decisions)):
                entry = self._enumerate(core, part, place, number, choice, self.effort.layers // len(choices))
                self.database.put_operator(workload, self.key, entry)
            self.ranked[layer, number] = entry
            self.layers[layer] = _with(self.layers[layer], number, entry.decisions[0])

    def _enumerate(
        self, core: Core, part: Part, place: int, number: int, choice: Choice[Any], effort: int
    ) -> OperatorEntry:
        """Time the decisions of one choice until `effort` is spent, the heuristic's first."""
        layer = part.nodes[place].name
        heuristic = self.layers[layer][number]
        limit, times = self.clock.spent + effort, {}
        for tried, decision in enumerate(dict.fromkeys([heuristic, *choice.space()])):
            if tried >= self.effort.decisions and self.clock.spent >= limit:
                break
            trial = {**self.layers, layer: _with(self.layers[layer], number, decision)}
            time = self.clock.layer(core, part, place, trial)
            if time is not None:
                times[decision] = time
        if heuristic not in times:
            return OperatorEntry((heuristic,), 0, 0, len(times))
        ranked = sorted(times, key=lambda decision: times[decision])
        return OperatorEntry(tuple(ranked[: self.effort.kept]), times[heuristic], times[ranked[0]], len(times))

    def _combine(self, layers: Sequence[str]) -> None:
        """Give `layers` what seems best for them: all at once, or, where that is no gain, half of them at a time."""
        if not layers or self._try(self._changed({layer: self.layers[layer] for layer in layers})) or len(layers) == 1:
            return
        middle = len(layers) // 2
        self._combine(layers[:middle])
        self._combine(layers[middle:])

    def _leave(self, core: Core) -> None:
        """Let activations go through DRAM, one after the other, largest first; layers that touch them decide anew."""
        graph, divisions = core.placement.graph, core.placement.divisions.values()
        residents = [name for division in divisions for name in division.residents]
        for name in sorted(residents, key=lambda name: -core.placement.tensors[name].nbytes):
            touching = {graph.producers[name].name, *(node.name for node in graph.consumers.get(name, []))}
            rest = {layer: made for layer, made in self.best.schedule.layers.items() if layer not in touching}
            self._try(Schedule(rest, self.best.schedule.leaving | {name}))

    def _refine(self, core: Core) -> None:
        """Try for each layer what is next best, where most was gained first."""
        made = core.decisions.made
        order = sorted(self.ranked, key=lambda key: self.ranked[key].cycles - self.ranked[key].heuristic)
        for layer, number in order:
            heuristic = made[layer][number]
            for decision in (*self.ranked[layer, number].decisions, heuristic):
                now = self.best.schedule.layers.get(layer, tuple(made[layer]))
                if decision != now[number]:
                    self._try(self._changed({layer: _with(now, number, decision)}))

    def _changed(self, layers: Layers) -> Schedule:
        return replace(self.best.schedule, layers={**self.best.schedule.layers, **layers})

    def _try(self, schedule: Schedule) -> bool:
        """Whether `schedule` is better than the best; then it is that, and written down."""
        if self.spent >= self.effort.network and self.trials >= self.effort.trials:
            return False
        trial = self.database.trial(self.workload, schedule, self.key)
        if trial is None:
            trial = self.clock.trial(schedule)
            self.database.put_trial(self.workload, schedule, self.key, trial)
        self.trials += 1
        self.spent += trial.spent
        if trial.cycles is None or trial.cycles >= self.best.cycles:
            return False
        self.best = replace(self.best, schedule=schedule, cycles=trial.cycles)
        self.database.put_network(self.workload, self.key, self.best)
        return True


def _with(decisions: tuple[Any, ...], number: int, decision: Any) -> tuple[Any, ...]:
    return (*decisions[:number], decision, *decisions[number + 1 :])
