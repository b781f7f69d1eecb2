"""``tilewright explore``"""

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import PRESETS, load_config
from ..errors import TilewrightError
from ..files import write_file
from ..fpga.boards import BOARDS
from .explore_shown import show, watched
from .files import out_option, write_text
from .roofline import require_matplotlib, require_picture

if TYPE_CHECKING:
    from ..explore.question import Question
    from ..explore.rungs import Rung
    from ..explore.store import Store
    from ..explore.study import Study
    from ..explore.workers import Workers

__all__ = ["explore"]

_SEARCHES = ("nsga2", "tpe", "random", "exhaustive")


def _names(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@click.command()
@click.option("--models", "-m", default="", callback=_names, help="ONNX or TFLite files, with commas between.")
@click.option("--board", "-b", type=click.Choice(list(BOARDS)), help="The FPGA board.")
@click.option("--minimise", default="latency,area", show_default=True, callback=_names, help="Metrics, with commas.")
@click.option("--maximise", default="", callback=_names, help="Metrics, with commas.")
@click.option("--require", "required", multiple=True, help="A constraint, like 'latency<=2ms'; more than once.")
@click.option("--oversize", is_flag=True, help="Also designs that the board has no room for.")
@click.option("--vary", multiple=True, help="A parameter's values, like 'rows=1,2'; more than once.")
@click.option("--points", type=click.IntRange(1, 1_000_000), default=400, show_default=True, help="Designs to look at.")
@click.option("--search", type=click.Choice(_SEARCHES), default="nsga2", show_default=True, help="Who chooses points.")
@click.option("--seed", type=click.IntRange(0, (1 << 32) - 1), default=0, show_default=True, help="Of the choices.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Processes; as many as cores by default.")
@click.option("--cluster", metavar="ADDRESS", help="Evaluate on a Dask cluster, like tcp://10.0.0.1:8786.")
@click.option(
    "--store", type=click.Path(path_type=Path), default="explore.db", show_default=True, help="File that keeps results."
)
@click.option("--verify", is_flag=True, help="Run the front's designs in Verilog and synthesise them.")
@click.option(
    "--designs", type=click.IntRange(1), default=8, show_default=True, help="Verify at most so many, along the front."
)
@click.option("--route", is_flag=True, help="The same, and place and route them: their clock.")
@click.option("--climb", type=click.IntRange(1), metavar="N", help="Synthesise N more designs, the least known ones.")
@click.option("--relearn", is_flag=True, help="Search anew, with what was learnt from syntheses since.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--pick", type=click.IntRange(1), metavar="N", help="Write design N of the front to the folder --out.")
@click.option("--out", "-o", type=click.Path(path_type=Path, file_okay=False), help="Folder for the picked design.")
@out_option(False, "every point as CSV", "--csv")
@out_option(False, "a picture of the front, .png or .svg", "--picture")
@out_option(False, "a report as HTML; a CSV and a JSON file of its name are written too", "--report")
def explore(
    models: tuple[str, ...],
    board: str | None,
    minimise: tuple[str, ...],
    maximise: tuple[str, ...],
    required: tuple[str, ...],
    oversize: bool,
    vary: tuple[str, ...],
    points: int,
    search: str,
    seed: int,
    jobs: int | None,
    cluster: str | None,
    store: Path,
    verify: bool,
    designs: int,
    route: bool,
    climb: int | None,
    relearn: bool,
    as_json: bool,
    pick: int | None,
    out: Path | None,
    csv: Path | None,
    picture: Path | None,
    report: Path | None,
) -> None:
    """Search hardware for models on a board.

    Every design is compiled for and timed to the cycle; what no other design beats in all objectives is the front. What
    was evaluated is kept: the same command goes on where it was interrupted. Without --models, the last search of the
    store is shown again.
    """
    if jobs is not None and cluster is not None:
        raise TilewrightError("--jobs must be left out with --cluster: a cluster has workers of its own")
    if (pick is None) != (out is None):
        raise TilewrightError("--pick N and --out FOLDER must be given together")
    if picture is not None:
        from ..explore.pictures import require_two_goals

        require_picture(picture, "picture")
        require_two_goals([*minimise, *maximise])
    if report is not None:
        require_matplotlib("report")
    if models:
        if board is None:
            raise TilewrightError(f"the search must have a board, one of {', '.join(BOARDS)}: give --board")
        question = _question(models, board, (minimise, maximise), (required, oversize), vary, (search, seed))
        effort = _Effort(points, climb or 0, verify or route, designs, route, relearn)
        study = _searched(question, store, effort, jobs, cluster)
    else:
        _require_nothing_to_search()
        study = _restored(store)
    _hand_out(study, as_json, csv, picture, report)
    if pick is not None and out is not None:
        from ..explore.pick import write_design

        for path in write_design(study, pick, out):
            click.echo(f"{path}", err=as_json)


_SEARCHING = (
    *("board", "minimise", "maximise", "required", "oversize", "vary", "points", "search", "seed", "jobs", "cluster"),
    *("verify", "designs", "route", "climb", "relearn"),
)


def _require_nothing_to_search() -> None:
    """Refuse options of a search where there are no models to search for."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.name in _SEARCHING:
            raise TilewrightError(
                f"{parameter.opts[0]} must come with --models: without, the last search of the store is shown again"
            )


@dataclass(frozen=True)
class _Effort:
    """How much is searched, and how high it climbs."""

    points: int
    synthesised: int
    verified: bool
    designs: int
    routed: bool
    anew: bool

    @property
    def highest(self) -> "tuple[Rung, ...]":
        from ..explore.rungs import Rung

        return (Rung.TUNED, *((Rung.RTL, Rung.SYNTHESIS) if self.verified else ()), *(Rung.ROUTED,) * self.routed)


def _searched(question: "Question", path: Path, effort: _Effort, jobs: int | None, cluster: str | None) -> "Study":
    from ..explore.rungs import Rung
    from ..explore.store import Store
    from ..explore.study import Study

    if effort.verified or effort.synthesised:
        from ..explore.verify import require_tools

        require_tools(question.board, routed=effort.routed)
    with Store(path) as kept, _workers(question, jobs, cluster) as workers, ExitStack() as bar:
        watch = bar.enter_context(watched(effort.points))
        study = Study(_continued(question, kept, anew=effort.anew), kept, workers, progress=watch)
        try:
            study.search(effort.points)
            study.climb((Rung.TUNED,))
            study.explore(effort.synthesised)
            study.climb(effort.highest, effort.designs if effort.verified else None)
        except KeyboardInterrupt:
            bar.close()
            click.echo(f"Interrupted after {study.points:,} designs; the same command goes on from here.", err=True)
            show(study)
            raise
    return study


def _continued(question: "Question", kept: "Store", *, anew: bool) -> "Question":
    """The question as it was asked before, if it was, so that it goes on where it ended."""
    from ..explore.rungs import Rung

    rungs = (Rung.SYNTHESIS, Rung.ROUTED)
    last = max((number for rung in rungs for number, *_ in kept.results(question.setting.asked(rung))), default=0)
    return question.continued(kept.studies(), last, anew=anew)


def _workers(question: "Question", jobs: int | None, cluster: str | None) -> "AbstractContextManager[Workers]":
    if cluster is not None:
        from ..explore.cluster import Cluster

        return Cluster(question.setting, cluster)
    from ..explore.workers import Processes

    return Processes(question.setting, jobs)


def _restored(path: Path) -> "Study":
    """The last search of the store."""
    from ..explore.question import Question
    from ..explore.store import Store
    from ..explore.study import Study
    from ..explore.workers import Processes

    with Store(path, writes=False) as kept:
        last = kept.last_study()
        if last is None:
            raise TilewrightError(f"store {path} must have a search, and has none: give --models and --board")
        key, settings = last
        question = Question.from_json(settings)
        if question.key != key:
            raise TilewrightError(f"store {path} must be of this version of Tilewright, and is not: search again")
        study = Study(question, kept, Processes(question.setting, 1))
        study.restore()
    return study


def _hand_out(study: "Study", as_json: bool, csv: Path | None, picture: Path | None, report: Path | None) -> None:
    from ..explore.results import study_json

    if csv is not None:
        write_text(csv, _table_of_all(study))
    if picture is not None:
        from ..explore.pictures import pareto_picture

        drawn = pareto_picture(study, picture.suffix[1:].lower())
        write_file(picture, drawn, "picture", error=TilewrightError)
    if report is not None:
        from ..explore.report import study_html

        write_text(report, study_html(study))
        for suffix, text in ((".csv", _table_of_all(study)), (".json", study_json(study))):
            write_text(report.with_suffix(suffix), text)
    if as_json:
        click.echo(study_json(study), nl=False)
    else:
        show(study)


def _table_of_all(study: "Study") -> str:
    """CSV of every design."""
    from ..explore.results import point_rows, rows_csv

    return rows_csv(point_rows(study), [parameter.name for parameter in study.question.space.parameters])


def _question(
    models: tuple[str, ...],
    board: str,
    objectives: tuple[tuple[str, ...], tuple[str, ...]],
    limits: tuple[tuple[str, ...], bool],
    vary: tuple[str, ...],
    choice: tuple[str, int],
) -> "Question":
    from ..explore.metrics import fitting, parse_constraint, parse_objectives, require_room
    from ..explore.question import Question
    from ..explore.space import default_space
    from ..explore.workers import Setting
    from ..explore.workload import Workload

    required, oversize = limits
    goals = parse_objectives(*objectives)
    constraints = (*(() if oversize else fitting(BOARDS[board])), *(parse_constraint(text) for text in required))
    require_room(constraints)
    space = default_space().narrowed(dict(_values(text) for text in vary))
    workload = Workload.read([Path(name) for name in models])
    presets = tuple(load_config(name) for name in PRESETS)
    return Question(space, Setting(workload, board, choice[1]), goals, constraints, choice[0], presets)


def _values(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, values = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return name.strip(), tuple(int(value) for value in values.split(","))
    except ValueError:
        raise TilewrightError(f"--vary must read like 'rows=1,2,4', not {text!r}") from None
