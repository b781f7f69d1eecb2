"""``tilewright tuning``, and the options by which commands choose schedules."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ..errors import TilewrightError
from .progress import stages
from .words import counted

if TYPE_CHECKING:
    from rich.table import Table

    from ..compiler.tuning import NetworkEntry, Tuner

__all__ = ["TuningOptions", "tuning", "tuning_options"]

_STATES = ("unfinished", "searched", "searched long")
Command = TypeVar("Command", bound=Callable[..., Any])

_HEURISTICS, _KNOWN, _SEARCH, _SEARCH_LONG = range(4)


def _default_database() -> Path:
    from ..cache import cache_directory

    return cache_directory() / "tuning.sqlite"


@dataclass(frozen=True)
class TuningOptions:
    """What ``-O`` and ``--database`` chose."""

    level: int
    database: Path | None

    def require_default(self, why: str) -> None:
        """Refuse what was chosen where nothing can be."""
        if self.level != _KNOWN or self.database is not None:
            raise TilewrightError(f"-O and --database must go with {why}: leave them out")

    @contextmanager
    def tuner(self, name: str) -> Iterator["Tuner | None"]:
        """What gives schedules for a network that people call `name`; None where heuristics do."""
        if self.level == _HEURISTICS:
            if self.database is not None:
                raise TilewrightError("--database must go with -O1 to -O3, not -O0: leave one of them out")
            yield None
            return
        from ..compiler.tuning import QUICK, THOROUGH, Tuner, TuningDatabase
        from ..simulator.timing import ProgramClock

        search = self.searches
        with (
            TuningDatabase(self.database or _default_database(), create=search) as database,
            stages("tuning") if search else nullcontext(lambda _: None) as progress,
        ):
            effort = THOROUGH if self.level == _SEARCH_LONG else QUICK
            yield Tuner(database, ProgramClock, search=search, name=name, effort=effort, progress=progress)

    @property
    def searches(self) -> bool:
        """Whether the compiler tries schedules, which takes long."""
        return self.level >= _SEARCH


def tuning_options(command: Command) -> Command:
    """``-O`` and ``--database``, which `command` gets as one argument `tuning`."""

    @wraps(command)
    def collected(*, level: int, database: Path | None, **others: Any) -> Any:
        return command(tuning=TuningOptions(level, database), **others)

    decorated: Callable[..., Any] = collected
    for option in (
        click.option(
            "--database",
            type=click.Path(path_type=Path),
            help="The tuning database; by default tuning.sqlite in the cache folder.",
        ),
        click.option(
            "-O",
            "level",
            type=click.IntRange(_HEURISTICS, _SEARCH_LONG),
            default=_KNOWN,
            show_default=True,
            help="Schedules: 0 heuristics; 1 what the tuning database knows, else 0; 2 search and keep; 3 search long.",
        ),
    ):
        decorated = option(decorated)
    return cast(Command, decorated)


@click.command()
@click.option("--database", type=click.Path(path_type=Path), help="By default tuning.sqlite in the cache folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def tuning(database: Path | None, as_json: bool) -> None:
    """Show what the tuning database knows: for each network cycles by heuristics, and tuned.

    `compile -O2` fills it. Entries of other versions of the compiler or the timing model are not used any more.
    """
    from ..compiler.tuning import TuningDatabase
    from ..compiler.tuning.workload import compiler_version

    path = database or _default_database()
    if database is not None and not path.exists():
        raise TilewrightError(f"tuning database {path} must exist to be shown; compile -O2 makes one")
    with TuningDatabase(path, create=False) as opened:
        entries, layers = opened.networks(), opened.layers()
    rows = [_row(entry, entry.versions.startswith(compiler_version())) for entry in entries]
    if as_json:
        click.echo(json.dumps({"database": str(path), "layers": layers, "networks": rows}, indent=1))
    elif not rows:
        click.echo(f"{path}: no network yet; compile -O2 tunes one")
    else:
        from .report import print_table

        print_table(_table(rows, f"{path}: {counted(len(rows), 'network')}, {counted(layers, 'layer')}"))


def _row(entry: "NetworkEntry", current: bool) -> dict[str, Any]:
    state = _STATES[min(entry.searched, len(_STATES) - 1)]
    return {
        "network": entry.name,
        "configuration": entry.configuration,
        "heuristic": entry.heuristic,
        "tuned": entry.cycles,
        "gain": entry.gain,
        "state": state if current else "other version",
    }


def _table(rows: list[dict[str, Any]], title: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("network", overflow="ellipsis", no_wrap=True, min_width=12, max_width=28)
    table.add_column("configuration", no_wrap=True)
    for heading in ("heuristic", "tuned", "gain"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for row in rows:
        numbers = (f"{row['heuristic']:,}", f"{row['tuned']:,}", f"{row['gain']:.1%}")
        table.add_row(row["network"], row["configuration"], *numbers, row["state"])
    return table
