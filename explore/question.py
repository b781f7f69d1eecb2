"""What is searched for, and what becomes of points."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..config import Config
from ..fpga.boards import BOARDS, Board
from .metrics import METRICS, Constraint, Goal
from .rungs import Knowledge, Rung
from .space import Parameter, Space
from .tools import tool_versions
from .units import shown_value
from .workers import Setting
from .workload import Workload, WorkloadModel

__all__ = ["Candidate", "Outcome", "Question"]

_CHOOSING = (Rung.CLOSED_FORM, Rung.LEARNT, Rung.TIMING, Rung.TUNED)


class Outcome(StrEnum):
    """What became of a trial."""

    REFUSED = "refused"  # not legal, or the models do not run on it: the reason names the limit that binds
    BROKEN = "broken"  # a constraint can't be kept: the reason names it
    DOMINATED = "dominated"  # even the least that it can cost is more than another point costs
    EVALUATED = "evaluated"  # timed, and keeps all constraints
    REPEATED = "repeated"  # the same hardware as a trial before it
    FAILED = "failed"  # the Verilog or its synthesis is not what was foretold: the reason says in what


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Parameters
    ----------
    goals
        What is wanted, at least one.
    constraints
        What must be kept.
    searcher, seed
        Who chooses points, and where its choices begin.
    first
        Points that are tried before all others, as far as the space has them.
    learnt_from
        The number of the store's last result that area and clock are corrected by; 0 where they are not. What is found
        later does not change a search's choices.
    earlier
        The key of a study whose points are judged anew after `first`, by what was learnt since; "" for none.
    """

    space: Space
    setting: Setting
    goals: tuple[Goal, ...]
    constraints: tuple[Constraint, ...] = ()
    searcher: str = "nsga2"
    first: tuple[Config, ...] = ()
    learnt_from: int = 0
    earlier: str = ""

    @property
    def board(self) -> Board:
        return BOARDS[self.setting.board]

    def to_json(self) -> dict[str, Any]:
        """All that the choice of points depends on."""
        return {
            "space": self.space.to_json(),
            "models": [[model.name, str(model.path), model.digest] for model in self.setting.workload.models],
            "board": self.setting.board,
            "seed": self.setting.seed,
            "goals": [[goal.metric.name, goal.minimise] for goal in self.goals],
            "constraints": [[each.metric.name, each.most, each.limit] for each in self.constraints],
            "searcher": self.searcher,
            "first": [config.to_toml() for config in self.first],
            "learnt_from": self.learnt_from,
            "earlier": self.earlier,
            "tools": [tool_versions(rung) for rung in _CHOOSING],
        }

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Question":
        """The question whose :meth:`to_json` that is."""
        space, board, seed = settings["space"], settings["board"], settings["seed"]
        parameters = tuple(Parameter(name, tuple(values)) for name, values in space["parameters"].items())
        models = tuple(WorkloadModel(name, Path(path), digest) for name, path, digest in settings["models"])
        return cls(
            Space(parameters, Config.from_toml(space["base"])),
            Setting(Workload(models), board, seed),
            tuple(Goal(METRICS[name], minimise) for name, minimise in settings["goals"]),
            tuple(Constraint(METRICS[name], most, limit) for name, most, limit in settings["constraints"]),
            settings["searcher"],
            tuple(Config.from_toml(text) for text in settings["first"]),
            settings["learnt_from"],
            settings["earlier"],
        )

    def continued(self, studies: Mapping[str, Mapping[str, Any]], last: int, *, anew: bool = False) -> "Question":
        """This question as the latest of `studies` asked it; as it is new, having learnt from all up to `last`.

        Parameters
        ----------
        studies
            Settings by key, oldest first.
        anew
            Where something was learnt since the latest: a new one, which judges its points again.
        """
        mine = self.to_json()
        for key, settings in reversed(list(studies.items())):
            learnt = {name: settings.get(name) for name in ("learnt_from", "earlier")}
            if settings == {**mine, **learnt}:
                if anew and settings["learnt_from"] != last:
                    return replace(self, learnt_from=last, earlier=key)
                return replace(self, **learnt)
        return replace(self, learnt_from=last)

    @property
    def key(self) -> str:
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def costs(self, known: Knowledge) -> tuple[float, ...]:
        return tuple(goal.cost(known, self.board) for goal in self.goals)

    def excess(self, known: Knowledge) -> tuple[float, ...]:
        return tuple(each.excess(known, self.board) for each in self.constraints)

    def broken(self, known: Knowledge) -> str:
        """The first constraint that is not kept, and by what; "" where all are."""
        for each in self.constraints:
            if each.excess(known, self.board) > 0:
                value = shown_value(each.metric.of(known, self.board), each.metric.unit)
                return f"{each.metric.name} must be {each.bound}, not {value}"
        return ""


@dataclass(frozen=True)
class Candidate:
    """A point that keeps all constraints, as far as is known."""

    config: Config
    known: Knowledge
    trial: int
