"""What the hardware takes of an FPGA."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ..config import Config, load_config
from ..errors import DeviceError
from ..fpga.boards import BOARDS
from ..fpga.families import FAMILIES, Family
from .files import config_option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..fpga.area_model import GateCount
    from ..fpga.boards import Board
    from ..fpga.report import AreaReport
    from ..fpga.synthesis import Synthesis

__all__ = ["area"]

_DEFAULT_FAMILY = "ecp5"
_WIDTH = 110  # where nobody says how wide lines may be
_HEADINGS = {"lut": "LUT", "ff": "flip-flops", "dsp": "DSP", "block_ram": "block RAM, 18 kbit"}


@click.command()
@config_option
@click.option("--family", type=click.Choice(list(FAMILIES)), help=f"FPGA family; {_DEFAULT_FAMILY}, or the board's.")
@click.option("--board", type=click.Choice(list(BOARDS)), help="Compare with this board only.")
@click.option(
    "--by",
    type=click.Choice(["formula", "elaboration", "synthesis"]),
    default="elaboration",
    show_default=True,
    help="Estimate at once, estimate in seconds, or synthesise for minutes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def area(config: str, family: str | None, board: str | None, by: str, as_json: bool) -> None:
    """Report what the accelerator takes of an FPGA, and in gates."""
    chosen = load_config(config)
    if board is not None and family not in (None, BOARDS[board].family):
        raise DeviceError(f"board {board} must be of family {BOARDS[board].family}, not {family}: leave out --family")
    target = FAMILIES[BOARDS[board].family if board else family or _DEFAULT_FAMILY]
    boards = [item for item in BOARDS.values() if (item.name == board if board else item.family == target.name)]
    report = (_synthesised if by == "synthesis" else _estimated)(chosen, target, boards, by)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    else:
        _show(report)


def _estimated(config: Config, family: Family, boards: "list[Board]", way: str) -> "AreaReport":
    from ..fpga.area_model import area_model
    from ..fpga.core_synthesis import elaborated_core
    from ..fpga.formula import formula_inventory
    from ..fpga.report import AreaReport

    inventory = formula_inventory(config) if way == "formula" else elaborated_core(config, progress=_say)
    model = area_model()
    return AreaReport(
        config=config,
        family=family,
        way=way,
        takes=model.takes(inventory, family.name),
        boards=boards,
        gates=model.gates(inventory),
        errors={**model.errors[way][family.name], **model.errors[way].get("gates", {})},
    )


def _synthesised(config: Config, family: Family, boards: "list[Board]", way: str) -> "AreaReport":
    from ..fpga.core_synthesis import synthesised_core
    from ..fpga.report import AreaReport

    synthesis = synthesised_core(config, family, progress=_say)
    return AreaReport(config=config, family=family, way=way, takes=synthesis.takes, boards=boards, synthesis=synthesis)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _show(report: "AreaReport") -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(_resources(report))
    console.print(_boards(report))
    if report.gates is not None:
        _show_gates(console, report.gates)
    if report.synthesis is not None:
        _show_synthesis(console, report.synthesis)
    if report.tools:
        console.print("With " + ", ".join(f"{tool} {version}" for tool, version in report.tools.items()))


def _resources(report: "AreaReport") -> "Table":
    table = _table(f"{report.config.name} on {report.family.name}, look-up tables of {report.family.lut_inputs} inputs")
    table.add_column("resource", no_wrap=True)
    table.add_column("takes" if report.synthesis else f"takes, by {report.way}", justify="right", no_wrap=True)
    if report.errors is not None:
        table.add_column("mean error, worst", justify="right", no_wrap=True)
    for name, count in report.takes.items():
        known = [] if report.errors is None else [_error(report.errors, name)]
        table.add_row(_HEADINGS[name], f"{count:,}", *known)
    return table


def _boards(report: "AreaReport") -> "Table":
    """What it takes of each board's FPGA; more than all of it is in red."""
    table = _table("Of boards")
    table.add_column("board", no_wrap=True)
    for name, _ in report.takes.items():
        table.add_column(_HEADINGS[name].partition(",")[0], justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("FPGA, package, speed grade", no_wrap=True)
    for fit in report.fits:
        shares = [f"[{'red' if share > 1 else 'default'}]{share:.0%}" for share in fit.shares.values()]
        board = fit.board
        verdict = "does not fit" if fit.exceeds else "fits"
        table.add_row(board.name, *shares, verdict, f"{board.device}, {board.package}, {board.speed}")
    return table


def _table(title: str) -> "Table":
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)


def _error(errors: Mapping[str, Mapping[str, float]], name: str) -> str:
    return f"{errors[name]['mean']:.1%}, {errors[name]['worst']:.1%}" if name in errors else "not known"


def _show_gates(console: "Console", gates: "GateCount") -> None:
    ports = ", ".join(
        f"{bits:,} of {count} read port{'s' if count > 1 else ''}" for count, bits in sorted(gates.memory_bits.items())
    )
    console.print(f"Without technology: {gates.nand2:,} two-input NANDs, {gates.flip_flops:,} flip-flops")
    console.print(f"Bits of memory, one write port each: {ports}")


def _show_synthesis(console: "Console", synthesis: "Synthesis") -> None:
    memories = synthesis.memories
    blocks = [memory for memory in memories if memory.block]
    console.print(
        f"Memories: {len(blocks)} in block RAM, {len(memories) - len(blocks)} in look-up tables or flip-flops"
    )
    for memory in memories:
        if not memory.block:
            size = f"{memory.words} × {memory.word_bits} bits"
            remark = ", and should be in block RAM" if memory.accidental else ""
            console.print(f"  {memory.name}: {size}, {memory.cell}{remark}", highlight=False)
    console.print(f"Latches: {synthesis.latches}" + ("" if not synthesis.latches else ", and there must be none"))
    if synthesis.unknown:
        console.print(f"Not counted, of unknown kind: {', '.join(synthesis.unknown)}")
