"""A study's outcome as data: rows of the front, and of every point; CSV and JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..config import Config
from .metrics import METRICS, RESOURCES
from .question import Candidate, Outcome, Question
from .rungs import Knowledge
from .study import Study

__all__ = ["Row", "front_rows", "point_rows", "preset_rows", "rows_csv", "study_json"]


@dataclass(frozen=True)
class Row:
    """One point.

    Members
    -------
    number
        On the front, from 1; 0 for a point that is not on it.
    values
        By metric, as far as they are known.
    rungs
        By metric: where its value is from, like "timing" or "closed form, timing".
    shares
        Of the board, by resource.
    """

    number: int
    trial: int
    config: Config
    outcome: str
    reason: str
    values: Mapping[str, float]
    rungs: Mapping[str, str]
    shares: Mapping[str, float]

    def to_json(self, searched: Sequence[str]) -> dict[str, Any]:
        return {
            "number": self.number,
            "trial": self.trial,
            "name": self.config.name,
            "hash": self.config.hash,
            "outcome": self.outcome,
            "reason": self.reason,
            **{name: getattr(self.config, name) for name in searched},
            **self.values,
            **{f"{name}_share": share for name, share in self.shares.items()},
            **{f"{name}_rung": rung for name, rung in self.rungs.items()},
        }


def front_rows(question: Question, front: Sequence[Candidate]) -> list[Row]:
    """Numbered from 1, in the front's order."""
    return [
        _row(question, candidate.config, candidate.known, candidate.trial, str(Outcome.EVALUATED), "", number)
        for number, candidate in enumerate(front, start=1)
    ]


def point_rows(study: Study) -> list[Row]:
    """Every point that was looked at, in order."""
    numbers = {candidate.config.hash: number for number, candidate in enumerate(study.front(), start=1)}
    return [
        _row(study.question, config, known, number, str(outcome), reason, numbers.get(config.hash, 0))
        for number, config, known, outcome, reason in study.looked_at()
    ]


def preset_rows(study: Study) -> list[Row]:
    """The designs that were tried before all others, under their own names, as far as the space has them."""
    names = {config.hash: config.name for config in study.question.first}
    return [
        replace(row, config=row.config.replace(name=names[row.config.hash]))
        for row in point_rows(study)
        if row.config.hash in names
    ]


def rows_csv(rows: Sequence[Row], searched: Sequence[str]) -> str:
    """A line of headings, and one for each row; empty where something is not known."""
    objects = [row.to_json(searched) for row in rows]
    names = list(dict.fromkeys(name for row in objects for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(objects)
    return text.getvalue()


def study_json(study: Study) -> str:
    """What was asked, what was found, and the front."""
    searched = [parameter.name for parameter in study.question.space.parameters]
    found = {
        "question": study.question.to_json(),
        "trials": study.trials,
        "points": study.points,
        "outcomes": {str(outcome): count for outcome, count in study.counted.items()},
        "front": [row.to_json(searched) for row in front_rows(study.question, study.front())],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _row(
    question: Question, config: Config, known: Knowledge, trial: int, outcome: str, reason: str, number: int
) -> Row:
    told = {name: metric for name, metric in METRICS.items() if set(metric.needs) <= set(known.quantities)}
    values = {name: metric.of(known, question.board) for name, metric in told.items()}
    rungs = {name: ", ".join(rung.label for rung in metric.rungs(known)) for name, metric in told.items()}
    has = question.board.has
    shares = {name: known.quantities[name] / getattr(has, name) for name in RESOURCES if name in known.quantities}
    return Row(number, trial, config, outcome, reason, values, rungs, shares)
