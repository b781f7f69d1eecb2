"""Pictures of a study, as PNG or SVG."""

import io
from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

from ..errors import TilewrightError
from .metrics import METRICS, Goal
from .question import Outcome
from .results import Row, point_rows
from .rungs import Rung
from .study import Study
from .units import handy_unit, shown_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["parallel_picture", "pareto_picture", "require_two_goals", "sensitivity_picture"]

_FRONT, _OTHER, _BROKEN = "#1b7837", "#2166ac", "#bbbbbb"


def require_two_goals(goals: Sequence[str]) -> None:
    """Raise TilewrightError where there is no front to draw."""
    if len(goals) < 2:
        raise TilewrightError(f"a picture of the front must have two objectives, not {', '.join(goals) or 'none'}")


def pareto_picture(study: Study, kind: str) -> bytes:
    """Every timed point by the first two goals; the front numbered as in tables, designs that break a constraint grey.

    Designs of the front that were synthesised are filled, those whose area is an estimate hollow.

    Parameters
    ----------
    kind
        "png" or "svg".
    """
    from matplotlib.figure import Figure

    names = [goal.metric.name for goal in study.question.goals[:2]]
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.add_subplot(xlabel=_axis(names[0]), ylabel=_axis(names[1]), xscale="log", yscale="log")
    _plain_ticks(axes)
    models = ", ".join(model.name for model in study.question.setting.workload.models)
    axes.set_title(f"{models} on {study.question.setting.board}, {study.points:,} designs")
    timed = (row for row in point_rows(study) if row.rungs.get("cycles") != Rung.CLOSED_FORM.label)
    rows = [row for row in timed if all(row.values.get(name, 0.0) > 0 for name in names)]
    _scatter(axes, [row for row in rows if row.outcome == Outcome.BROKEN], names, _BROKEN, "breaks a constraint")
    _scatter(axes, [row for row in rows if row.outcome == Outcome.EVALUATED], names, _OTHER, "timed")
    _draw_front(axes, sorted((row for row in rows if row.number), key=lambda row: row.number), names)
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    return _drawn(figure, kind)


def parallel_picture(study: Study, kind: str) -> bytes:
    """Parallel coordinates of every design that was timed: an axis for each parameter and goal, the front in green."""
    from matplotlib.figure import Figure

    columns = [*_varied(study), *(goal.metric.name for goal in study.question.goals)]
    rows = [row for row in point_rows(study) if row.outcome == Outcome.EVALUATED]
    heights = {name: _heights([_value(row, name) for row in rows]) for name in columns}
    figure = Figure(figsize=(max(7.0, 1.1 * len(columns)), 5), layout="constrained")
    axes = figure.add_subplot()
    for place in sorted(range(len(rows)), key=lambda place: rows[place].number > 0):
        on_front = rows[place].number > 0
        axes.plot(
            [heights[name][place] for name in columns],
            color=_FRONT if on_front else _OTHER,
            alpha=0.9 if on_front else 0.15,
            linewidth=1.8 if on_front else 0.8,
        )
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks([])
    for place, name in enumerate(columns):
        values = [_value(row, name) for row in rows]
        unit = METRICS[name].unit if name in METRICS else ""
        for height, value, side in ((-0.03, min(values), "top"), (1.03, max(values), "bottom")):
            axes.text(place, height, shown_value(value, unit), ha="center", va=side, fontsize=8)
        axes.axvline(place, color="#dddddd", linewidth=0.8, zorder=0)
    axes.set_ylim(-0.12, 1.12)
    axes.set_title("Parameters and results, each from its least to its most, along logarithms; the front in green")
    return _drawn(figure, kind)


def sensitivity_picture(study: Study, kind: str) -> bytes:
    """For each parameter and goal, by what factor the goal's best values differ between the parameter's values.

    Over the designs that were timed; a parameter that is worth nothing has 1.
    """
    from matplotlib.figure import Figure

    rows = [row for row in point_rows(study) if row.outcome == Outcome.EVALUATED]
    parameters, goals = _varied(study), study.question.goals
    figure = Figure(figsize=(8, 1 + 0.45 * len(parameters)), layout="constrained")
    axes = figure.add_subplot(xlabel="best value of the goal: largest by smallest over the parameter's values")
    for place, goal in enumerate(goals):
        factors = [_factor(rows, parameter, goal) for parameter in parameters]
        heights = [number + 0.8 * (place + 0.5) / len(goals) for number in range(len(parameters))]
        axes.barh(heights, factors, height=0.8 / len(goals), label=goal.metric.name)
    axes.set_yticks([number + 0.4 for number in range(len(parameters))], parameters)
    axes.set_xlim(left=1)
    axes.legend()
    return _drawn(figure, kind)


def _varied(study: Study) -> list[str]:
    return [parameter.name for parameter in study.question.space.parameters if len(parameter.values) > 1]


def _value(row: Row, name: str) -> float:
    return float(row.values[name]) if name in row.values else float(getattr(row.config, name))


def _heights(values: Sequence[float]) -> list[float]:
    """From 0 for the least to 1 for the most."""
    logarithms = [log(max(value, 1e-30)) for value in values]
    low, high = min(logarithms, default=0.0), max(logarithms, default=0.0)
    return [(each - low) / (high - low) if high > low else 0.5 for each in logarithms]


def _factor(rows: Sequence[Row], parameter: str, goal: Goal) -> float:
    best: dict[int, float] = {}
    choose = min if goal.minimise else max
    for row in rows:
        value, found = getattr(row.config, parameter), row.values[goal.metric.name]
        best[value] = choose(best.get(value, found), found)
    least = min(best.values(), default=1.0)
    return max(best.values(), default=1.0) / least if least > 0 else 1.0


def _drawn(figure: "Figure", kind: str) -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return picture.getvalue()


def _axis(name: str) -> str:
    unit = handy_unit(METRICS[name].unit)[1]
    return f"{name} ({unit})" if unit else name


def _along(rows: Sequence[Row], name: str) -> list[float]:
    """In the axis' unit."""
    factor = handy_unit(METRICS[name].unit)[0]
    return [row.values[name] / factor for row in rows]


def _plain_ticks(axes: "Axes") -> None:
    """1, 2, 5, 10, 20, 50 instead of powers of ten, which fronts seldom span."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def _scatter(axes: "Axes", rows: Sequence[Row], names: Sequence[str], colour: str, label: str) -> None:
    if rows:
        x, y = (_along(rows, name) for name in names)
        axes.scatter(x, y, s=14, c=colour, label=label)


def _draw_front(axes: "Axes", front: Sequence[Row], names: Sequence[str]) -> None:
    if not front:
        return
    across, up = (_along(front, name) for name in names)
    axes.plot(across, up, color=_FRONT, drawstyle="steps-post", label="front")
    for known, label in ((True, "synthesised"), (False, "estimated")):
        mine = [row for row in front if ("synthesis" in row.rungs["lut"]) is known]
        if mine:
            face = _FRONT if known else "white"
            first, second = (_along(mine, name) for name in names)
            axes.scatter(first, second, s=40, zorder=3, facecolors=face, edgecolors=_FRONT, label=f"front, {label}")
    for row, x, y in zip(front, across, up, strict=True):
        axes.annotate(str(row.number), (x, y), textcoords="offset points", xytext=(5, 5))
