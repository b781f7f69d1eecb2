"""What the hardware takes of an FPGA."""

import json
from pathlib import Path
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

    from ..fpga.report import AreaReport
    from ..fpga.synthesis import Synthesis

__all__ = ["area"]

_DEFAULT_FAMILY = "ecp5"
_TOP = "tilewright"
_WIDTH = 100
_HEADINGS = {"lut": "LUT", "ff": "flip-flops", "dsp": "DSP", "block_ram": "block RAM, 18 kbit"}


@click.command()
@config_option
@click.option("--family", type=click.Choice(list(FAMILIES)), help=f"FPGA family; {_DEFAULT_FAMILY}, or the board's.")
@click.option("--board", type=click.Choice(list(BOARDS)), help="Compare with this board only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def area(config: str, family: str | None, board: str | None, as_json: bool) -> None:
    """Synthesise the accelerator for an FPGA and report what it takes."""
    chosen = load_config(config)
    if board is not None and family not in (None, BOARDS[board].family):
        raise DeviceError(f"board {board} must be of family {BOARDS[board].family}, not {family}: leave out --family")
    target = FAMILIES[BOARDS[board].family if board else family or _DEFAULT_FAMILY]
    from ..fpga.report import AreaReport

    boards = [item for item in BOARDS.values() if (item.name == board if board else item.family == target.name)]
    report = AreaReport(chosen, target, _synthesis(chosen, target), boards)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    else:
        _show(report)


def _synthesis(config: Config, family: Family) -> "Synthesis":
    """From the cache where the same Verilog was synthesised before."""
    from ..fpga.synthesis import read_synthesis, require_yosys, synthesis_key
    from ..hw.verilog import core_verilog
    from ..simulator.build import cached_build

    require_yosys(family)
    click.echo(f"Emitting the Verilog of {config.name}: some seconds.", err=True)
    verilog = core_verilog(config)
    entry = cached_build(
        synthesis_key(verilog, family, top=_TOP),
        lambda directory: _synthesise_anew(verilog, family, directory),
        name=f"area-{family.name}",
    )
    return read_synthesis(entry, family, top=_TOP)


def _synthesise_anew(verilog: str, family: Family, directory: Path) -> None:
    from ..fpga.synthesis import synthesise

    click.echo(f"Synthesising for {family.name}: one to ten minutes, by the configuration's size; kept.", err=True)
    synthesise(verilog, family, directory, top=_TOP)


def _show(report: "AreaReport") -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(_resources(report))
    for fit in report.fits:
        lacks = ", ".join(_HEADINGS[name] for name in fit.exceeds)
        verdict = f"too little {lacks}" if lacks else "fits"
        board = fit.board
        console.print(f"{board.name} ({board.device}, {board.package}, speed grade {board.speed}): {verdict}")
    _show_memories(console, report)
    synthesis = report.synthesis
    console.print(f"Latches: {synthesis.latches}" + ("" if not synthesis.latches else ", and there must be none"))
    if synthesis.unknown:
        console.print(f"Not counted, of unknown kind: {', '.join(synthesis.unknown)}")
    console.print("With " + ", ".join(f"{tool} {version}" for tool, version in report.tools.items()))


def _resources(report: "AreaReport") -> "Table":
    """A row for each resource, a column for each board."""
    from rich import box
    from rich.table import Table

    title = f"{report.config.name} on {report.family.name}, look-up tables of {report.family.lut_inputs} inputs"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("resource", no_wrap=True)
    table.add_column("takes", justify="right", no_wrap=True)
    fits = report.fits
    for fit in fits:
        table.add_column(f"of {fit.board.name}", justify="right", no_wrap=True)
    for name, count in report.synthesis.takes.items():
        shares = (f"{getattr(fit.board.has, name):,} ({fit.shares[name]:.0%})" for fit in fits)
        table.add_row(_HEADINGS[name], f"{count:,}", *shares)
    return table


def _show_memories(console: "Console", report: "AreaReport") -> None:
    memories = report.synthesis.memories
    blocks = [memory for memory in memories if memory.block]
    console.print(
        f"Memories: {len(blocks)} in block RAM, {len(memories) - len(blocks)} in look-up tables or flip-flops"
    )
    for memory in memories:
        if not memory.block:
            size = f"{memory.words} × {memory.word_bits} bits"
            remark = ", and should be in block RAM" if memory.accidental else ""
            console.print(f"  {memory.name}: {size}, {memory.cell}{remark}", highlight=False)
