"""Commands about the hardware itself."""

from pathlib import Path

import click

from ..config import load_config
from .files import config_option, out_option, write_text

__all__ = ["config", "verilog"]


@click.command()
@click.argument("configuration", default="vta-16")
@out_option(False, "the TOML text; the terminal by default")
def config(configuration: str, out: Path | None) -> None:
    """Print a configuration: a preset's name or a TOML file."""
    chosen = load_config(configuration)
    facts = f"# hash {chosen.hash}, {chosen.macs_per_cycle} MACs a cycle, {chosen.on_chip_bytes / 1024:g} KiB on chip\n"
    write_text(out, facts + chosen.to_toml())


@click.command()
@config_option
@out_option(False, "the Verilog; the terminal by default")
def verilog(config: str, out: Path | None) -> None:
    """Emit the accelerator's Verilog."""
    chosen = load_config(config)
    from ..hw.verilog import core_verilog
    from ..toolchain import without_collection

    with without_collection():
        text = core_verilog(chosen)
    write_text(out, text)
