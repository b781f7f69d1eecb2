"""Pictures of a study, as PNG or SVG."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import TilewrightError
from .metrics import METRICS
from .results import Row, point_rows
from .rungs import Rung
from .study import Outcome, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pareto_picture", "require_two_goals"]

_FRONT, _OTHER, _BROKEN = "#1b7837", "#2166ac", "#bbbbbb"


def require_two_goals(goals: Sequence[str]) -> None:
    """Raise TilewrightError where there is no front to draw."""
    if len(goals) < 2:
        raise TilewrightError(f"a picture of the front must have two objectives, not {', '.join(goals) or 'none'}")


def pareto_picture(study: Study, kind: str) -> bytes:
    """Every timed point by the first two goals; the front numbered as in tables, designs that break a constraint grey.

    Parameters
    ----------
    kind
        "png" or "svg".
    """
    from matplotlib.figure import Figure

    names = [goal.metric.name for goal in study.question.goals[:2]]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot(xlabel=_axis(names[0]), ylabel=_axis(names[1]), xscale="log", yscale="log")
    models = ", ".join(model.name for model in study.question.setting.workload.models)
    axes.set_title(f"{models} on {study.question.setting.board}, {study.points:,} designs")
    timed = (row for row in point_rows(study) if row.rungs.get("cycles") != Rung.CLOSED_FORM.label)
    rows = [row for row in timed if all(row.values.get(name, 0.0) > 0 for name in names)]
    _scatter(axes, [row for row in rows if row.outcome == Outcome.BROKEN], names, _BROKEN, "breaks a constraint")
    _scatter(axes, [row for row in rows if row.outcome == Outcome.EVALUATED], names, _OTHER, "timed")
    _draw_front(axes, sorted((row for row in rows if row.number), key=lambda row: row.number), names)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return picture.getvalue()


def _axis(name: str) -> str:
    unit = METRICS[name].unit
    return f"{name} ({unit})" if unit else name


def _scatter(axes: "Axes", rows: Sequence[Row], names: Sequence[str], colour: str, label: str) -> None:
    if rows:
        axes.scatter(*([row.values[name] for row in rows] for name in names), s=14, c=colour, label=label)


def _draw_front(axes: "Axes", front: Sequence[Row], names: Sequence[str]) -> None:
    if not front:
        return
    across, up = ([row.values[name] for row in front] for name in names)
    axes.plot(across, up, color=_FRONT, marker="o", drawstyle="steps-post", label="front")
    for row, x, y in zip(front, across, up, strict=True):
        axes.annotate(str(row.number), (x, y), textcoords="offset points", xytext=(5, 5))
