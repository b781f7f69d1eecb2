"""What ``tilewright explore`` shows: the best so far, and the front at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..explore.results import Row
    from ..explore.study import Study

__all__ = ["show", "watched"]

_A_MINUTE = 60.0


@contextmanager
def watched(points: int) -> "Iterator[Callable[[Study], Any]]":
    """A bar with the best so far, on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _told_now_and_then(points)
        return
    columns = (MofNCompleteColumn(), BarColumn(20), TextColumn("{task.fields[best]}"))
    with Progress(*columns, TimeRemainingColumn(compact=True), console=console, transient=True) as bars:
        task = bars.add_task("", total=points, best="")
        shown = 0.0

        def watch(study: "Study") -> None:
            nonlocal shown
            if monotonic() - shown > 0.5:
                shown = monotonic()
                bars.update(task, completed=study.points, best=_best(study))

        yield watch


def _told_now_and_then(points: int) -> "Callable[[Study], Any]":
    """A line with the best so far every minute, where there is no terminal."""
    told = monotonic()

    def watch(study: "Study") -> None:
        nonlocal told
        if monotonic() - told > _A_MINUTE:
            told = monotonic()
            click.echo(f"{study.points:,} of {points:,} designs; {_best(study)}", err=True)

    return watch


def _best(study: "Study") -> str:
    """The best value of each goal, and the size of the front."""
    from ..explore.rungs import Rung
    from ..explore.units import shown_value

    question, front = study.question, study.front()
    texts = []
    for goal in question.goals if front else ():
        best = min(front, key=lambda candidate: goal.cost(candidate.known, question.board))
        texts.append(f"{goal.metric.name} {shown_value(goal.metric.of(best.known, question.board), goal.metric.unit)}")
    climbing = {rung.label: count for rung, count in study.evaluated.items() if count and rung > Rung.TIMING}
    texts += [f"{count} {label}" for label, count in climbing.items()]
    return "; ".join([f"front {len(front)}", *texts])


def show(study: "Study") -> None:
    from rich import box
    from rich.table import Table

    from ..explore.metrics import METRICS
    from ..explore.results import front_rows
    from ..explore.units import shown_value
    from .report import print_table

    question = study.question
    rows = front_rows(question, study.front())
    names = ", ".join(model.name for model in question.setting.workload.models)
    table = Table(
        title=f"{names} on {question.setting.board}: {', '.join(map(str, question.goals))}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    goals = [goal.metric.name for goal in question.goals]
    shown = list(dict.fromkeys([*goals, *(each.metric.name for each in question.constraints), *_ALWAYS]))
    for heading in ("", "design"):
        table.add_column(heading, no_wrap=True)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        cells = (f"{shown_value(row.values[name], METRICS[name].unit)} {_marks(row, name)}" for name in shown)
        table.add_row(str(row.number), row.config.name, *cells)
    print_table(table)
    _show_summary(study)


_ALWAYS = ("cycles", "fmax", "lut", "dsp", "block_ram")


def _marks(row: "Row", metric: str) -> str:
    from ..explore.rungs import Rung

    marks = {rung.label: rung.mark for rung in Rung}
    return "".join(marks[label] for label in row.rungs[metric].split(", "))


def _show_summary(study: "Study") -> None:
    from ..explore.question import Outcome
    from ..explore.results import preset_rows
    from ..explore.rungs import Rung
    from ..explore.units import shown_value

    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in study.counted.items() if count)
    click.echo(f"{study.trials:,} trials, {study.points:,} designs: {counts or 'none'}.")
    click.echo("Each number's rung: " + ", ".join(f"{rung.mark} {rung.label}" for rung in Rung) + ".")
    for row in preset_rows(study):
        goals = (goal.metric for goal in study.question.goals if goal.metric.name in row.values)
        told = ", ".join(
            f"{metric.name} {shown_value(row.values[metric.name], metric.unit)} {_marks(row, metric.name)}"
            for metric in goals
        )
        click.echo(f"Preset {row.config.name}: {told}; {row.outcome}{f', {row.reason}' if row.reason else ''}.")
    for line in study.correction.lines():
        click.echo(line)
    if study.unreported:
        click.echo(f"{study.unreported:,} more designs of the front were not verified; --designs says how many are.")
    for _, config, _, outcome, reason in study.looked_at():
        if outcome is Outcome.FAILED:
            click.echo(f"Failed: {reason.removeprefix(config.name + ': ')} ({config.name}).")
    if not study.front():
        click.echo("No design keeps all constraints. " + _hardest(study))


def _hardest(study: "Study") -> str:
    """The reason that was given most often, without its number."""
    from collections import Counter

    reasons = Counter(reason.partition(", not ")[0] for *_, reason in study.looked_at() if reason)
    if not reasons:
        return ""
    reason, count = reasons.most_common(1)[0]
    return f"Most often, {count:,} times: {reason}.{_nearest(study, reason)}"


def _nearest(study: "Study", reason: str) -> str:
    """How near designs come to the constraint that is broken most often."""
    from ..explore.units import shown_value

    board = study.question.board
    for each in study.question.constraints:
        if reason == f"{each.metric.name} must be {each.bound}":
            known = [known for _, _, known, *_ in study.looked_at() if set(each.metric.needs) <= set(known.quantities)]
            best = min(known, key=lambda one: each.excess(one, board))
            rungs = ", ".join(rung.label for rung in each.metric.rungs(best))
            return f" The nearest is {shown_value(each.metric.of(best, board), each.metric.unit)} ({rungs})."
    return ""
