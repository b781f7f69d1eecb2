"""The accelerator for other tools: Vivado and FuseSoC."""

from pathlib import Path

import click

from ..config import Config, load_config
from ..errors import DeviceError
from ..fpga.boards import BOARDS
from .files import config_option

__all__ = ["export"]


@click.command()
@click.option("--vivado", is_flag=True, help="An IP-XACT component, and Tcl that builds a PYNQ-Z2 design with it.")
@click.option("--fusesoc", is_flag=True, help="A FuseSoC core file.")
@config_option
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="Folder for the files; made if new.")
@click.option("--clock", type=click.IntRange(10, 250), default=50, show_default=True, help="The core's clock, MHz.")
@click.option("--jobs", "-j", type=click.IntRange(1), default=4, show_default=True, help="Processes of Vivado's runs.")
@click.option(
    "--buffer", type=click.IntRange(1, 448), default=64, show_default=True, help="MiB that Linux sets aside for it."
)
def export(vivado: bool, fusesoc: bool, config: str, out: Path, clock: int, jobs: int, buffer: int) -> None:
    """Write the accelerator's Verilog with what Vivado or FuseSoC need to build it."""
    if not (vivado or fusesoc):
        raise DeviceError("export must be told for which tools: give --vivado, --fusesoc or both")
    chosen = load_config(config)
    from ..fpga.export.package import exported_files, make_folder, write_files

    if vivado:
        _require_fit(chosen)
    make_folder(out)
    click.echo(f"Emitting the Verilog of {chosen.name}: some seconds.", err=True)
    files = exported_files(
        chosen, vivado=vivado, fusesoc=fusesoc, clock_mhz=clock, jobs=jobs, buffer_bytes=buffer << 20
    )
    write_files(out, files)
    for path, content in files.items():
        click.echo(f"{out / path}: {len(content):,} bytes")
    if vivado:
        click.echo(f"Build it with: vivado -mode batch -source {out / 'build.tcl'}")


def _require_fit(config: Config) -> None:
    """The design that Vivado builds is for one board; a FuseSoC core file is for whatever its user has."""
    from ..fpga.export.vivado import PYNQ_Z2
    from ..fpga.fitting import least_by_formula, require_fit

    board = BOARDS[PYNQ_Z2.name]
    way_out = "take a smaller configuration, or --fusesoc for a larger FPGA"
    require_fit(least_by_formula(config, board), board, name=f"configuration {config.name}", way_out=way_out)
