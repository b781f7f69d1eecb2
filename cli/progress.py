"""Bars for what takes long: on a terminal only, and gone when it is over."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..driver.device import CYCLE_DEVICES

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from ..driver.session import Session
    from ..isa.program import Program, Run

__all__ = ["RunBar", "each_of", "run_bar", "run_steps", "stages"]

Item = TypeVar("Item")
_WATCHED = (*CYCLE_DEVICES, "oracle", "native")


@contextmanager
def _terminal_bars(*columns: Any) -> "Iterator[Progress | None]":
    """None where nobody would see them."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    from rich.progress import Progress

    # What a command prints must reach its pipe, whatever is on the screen.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bars:
        yield bars


class RunBar:
    """A program's run: layer, instructions, cycles a second, time left.

    Parameters
    ----------
    open_bars
        Called when there is something to show, which a short run never has; None where nobody would see it.
    timed
        Whether the device counts cycles; then the bar and the time left go by those that the timing model expects.
    """

    def __init__(
        self, program: "Program", open_bars: "Callable[[], Progress | None]", *, timed: bool, latency: int | None
    ) -> None:
        self._program = program
        self._open_bars = open_bars
        self._latency = latency
        self._bars: Progress | None = None
        self._opened = False
        self._runs = _runs(program)
        self.total = sum(run.count - 1 for run in self._runs)
        self._done = self._cycles = 0
        self._current: tuple[int, int] = (0, 0)
        self._place = -1
        self._began = monotonic()
        self._timed = timed

    def note(self, text: str) -> None:
        """A line above the bar."""
        if self._bars is None:
            click.echo(text, err=True)
        else:
            self._bars.console.print(text)

    def begin_run(self) -> None:
        """The next run of the core starts."""
        if self._place >= 0:
            self._done += self._runs[self._place].count - 1
            self._cycles += self._current[1]
        else:
            self._began = monotonic()  # not when the device was opened, which may have to build it
        self._place += 1
        self._current = (0, 0)

    def advance(self, instructions: int, cycles: int) -> None:
        """What a device reports: how many instructions of the run are done, after how many cycles."""
        self._current = (instructions, cycles)
        if not self._opened:
            self._open()
        if self._bars is not None:
            done = self._cycles + cycles if self._timed else self._done + instructions
            self._bars.update(self._task, completed=min(done, self._expected), **self._shown())

    def _open(self) -> None:
        self._opened = True
        self._bars = self._open_bars()
        if self._bars is not None:
            expected = _expected_cycles(self._program, self._latency) if self._timed else self.total
            self._expected = max(expected, 1)
            self._task = self._bars.add_task("", total=self._expected, **self._shown())

    @property
    def instructions(self) -> int:
        """Carried out so far, in all runs."""
        return self._done + self._current[0]

    @property
    def cycles(self) -> int:
        return self._cycles + self._current[1]

    def _shown(self) -> dict[str, Any]:
        run = self._runs[max(self._place, 0)]
        layer = self._program.layer_of(run.first + min(self._current[0], run.count - 1))
        speed = self.cycles / max(monotonic() - self._began, 1e-3)
        return {
            "layer": layer.name if layer else "",
            "count": f"{self.instructions:,} of {self.total:,} instructions",
            "speed": f"{speed / 1e6:.2f} M cycles/s" if self._timed and self.cycles else "",
        }


def _runs(program: "Program") -> "list[Run]":
    from ..isa.program import Run

    return [step for step in program.steps if isinstance(step, Run)]


def _expected_cycles(program: "Program", latency: int | None) -> int:
    from ..simulator.timing.model import DEFAULT_LATENCY
    from ..simulator.timing.program import time_program

    return sum(timed.timing.cycles for timed in time_program(program, latency=latency or DEFAULT_LATENCY))


@contextmanager
def run_bar(program: "Program", device: str, latency: int | None = None) -> "Iterator[RunBar | None]":
    """The bar of a run, for a device that reports how far it is; its `advance` is the device's option ``progress``."""
    if device not in _WATCHED or not _runs(program):
        yield None
        return
    with ExitStack() as stack:

        def open_bars() -> "Progress | None":
            return stack.enter_context(_terminal_bars(*_run_columns()))

        yield RunBar(program, open_bars, timed=device in CYCLE_DEVICES, latency=latency)


def _run_columns() -> "tuple[ProgressColumn, ...]":
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    layer = TextColumn("{task.fields[layer]}", table_column=Column(max_width=28, no_wrap=True, overflow="ellipsis"))
    texts = (TextColumn("{task.fields[count]}"), TextColumn("{task.fields[speed]}"), TimeRemainingColumn(compact=True))
    return layer, BarColumn(20), *texts


def run_steps(session: "Session", inputs: Any, bar: RunBar | None) -> dict[str, Any]:
    """As :meth:`.Session.run`, telling `bar` where each run of the core begins."""
    from ..isa.program import Run

    session.begin(inputs)
    for number, step in enumerate(session.program.steps):
        if bar is not None and isinstance(step, Run):
            bar.begin_run()
        session.perform(number)
    return session.outputs()


def each_of(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """`items`, of which a bar shows how many are done; `what` names them, in the plural."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _terminal_bars(*columns) as bars:
        task = bars.add_task(what, total=total) if bars is not None else None
        for item in items:
            yield item
            if bars is not None and task is not None:
                bars.advance(task)


@contextmanager
def stages(what: str) -> Iterator[Callable[[str], None]]:
    """A function to be told which stage of the work has come; shown with the time that has passed."""
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with _terminal_bars(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as bars:
        task = bars.add_task(what) if bars is not None else None

        def tell(stage: str) -> None:
            if bars is not None and task is not None:
                bars.update(task, description=f"{what}: {stage}")

        yield tell
