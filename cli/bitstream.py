"""Bitstreams for boards."""

import json
from pathlib import Path

import click

from ..config import load_config
from ..errors import DeviceError
from ..files import write_file
from ..fpga.boards import BOARDS, boards_with_bitstreams
from .devices import memory_option
from .files import config_option, out_option

__all__ = ["bitstream"]

_MEGA = 1_000_000


@click.command()
@click.option("--board", "-b", type=click.Choice(boards_with_bitstreams()), required=True)
@config_option
@out_option(True, "the bitstream")
@click.option("--clock", type=click.IntRange(12, 200), default=25, show_default=True, help="The system's clock, MHz.")
@memory_option(64)
@click.option("--baud", type=click.IntRange(9600), default=3 * _MEGA, show_default=True, help="Of the host link.")
@click.option("--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Attempts at place and route.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="Attempts at a time; as many as CPUs by default.")
@out_option(False, "the report, as JSON", "--report")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def bitstream(
    board: str,
    config: str,
    out: Path,
    clock: int,
    memory: int | None,
    baud: int,
    seeds: int,
    jobs: int | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Make the file that configures a board's FPGA with the accelerator, its memory and its host link."""
    chosen = load_config(config)
    from ..fpga.bitstream import build_bitstream
    from ..fpga.board_system import board_system

    system = board_system(BOARDS[board], memory_bytes=memory, clock_hz=clock * _MEGA, baud=baud)
    content, made = build_bitstream(
        chosen,
        system,
        BOARDS[board],
        seeds=range(1, seeds + 1),
        jobs=jobs,
        progress=lambda text: click.echo(text, err=True),
    )
    write_file(out, content, "bitstream", error=DeviceError)
    text = json.dumps(made.to_json(), indent=1)
    if report is not None:
        write_file(report, text.encode(), "report", error=DeviceError)
    click.echo(text if as_json else "\n".join([*made.lines(), f"{out}: {len(content):,} bytes"]))
