"""Decisions and schedules as JSON: what the database holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ..schedule.conv_tiling import ConvTiling
from ..schedule.decision import Schedule
from ..schedule.depthwise_choice import DepthwiseTiling
from ..schedule.window_tiling import WindowTiling

__all__ = ["decisions_text", "read_decisions", "read_schedule", "schedule_text"]

_KINDS: Mapping[str, type[Any]] = {"conv": ConvTiling, "depthwise": DepthwiseTiling, "window": WindowTiling}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def _plain(decision: Any) -> dict[str, Any]:
    return {"kind": _NAMES[type(decision)], **asdict(decision)}


def _decision(plain: Any) -> Any:
    kind = _KINDS[plain["kind"]]
    values = {field.name: plain[field.name] for field in fields(kind)}
    for field in fields(kind):
        expected = bool if field.type == "bool" else int
        if type(values[field.name]) is not expected:
            raise TypeError(f"{field.name} must be {expected.__name__}")
    return kind(**values)


def decisions_text(decisions: Sequence[Any]) -> str:
    """JSON of some decisions."""
    return json.dumps([_plain(decision) for decision in decisions])


def read_decisions(text: str) -> tuple[Any, ...]:
    """The inverse of :func:`decisions_text`.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is none.
    """
    return tuple(_decision(plain) for plain in json.loads(text))


def schedule_text(schedule: Schedule) -> str:
    """JSON of a schedule."""
    layers = {name: [_plain(decision) for decision in made] for name, made in sorted(schedule.layers.items())}
    return json.dumps({"layers": layers, "leaving": sorted(schedule.leaving)})


def read_schedule(text: str) -> Schedule:
    """The inverse of :func:`schedule_text`.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is none.
    """
    plain = json.loads(text)
    layers: dict[str, Sequence[Any]] = plain["layers"]
    made = {str(name): tuple(_decision(each) for each in decisions) for name, decisions in layers.items()}
    return Schedule(made, frozenset(map(str, plain["leaving"])))
