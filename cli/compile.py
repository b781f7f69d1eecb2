"""``tilewright compile``"""

from pathlib import Path

import click

from ..config import load_config
from .files import config_option, dense_rounding_option, out_option

__all__ = ["compile_model"]


@click.command(name="compile")
@click.argument("model", type=click.Path(path_type=Path))
@config_option
@out_option(True, "the program")
@dense_rounding_option
def compile_model(model: Path, config: str, out: Path, dense_rounding: str) -> None:
    """Compile MODEL (ONNX quantised as QDQ, or TFLite in int8) to a program file."""
    chosen = load_config(config)
    from ..compiler.compile import compile_model as compiler

    program = compiler(model, chosen, dense_rounding=dense_rounding)  # type: ignore[arg-type]
    program.save(out)
    accelerated = sum(layer.macs for layer in program.layers if layer.target == "accelerator")
    total = sum(layer.macs for layer in program.layers) or 1
    click.echo(
        f"{out}: {len(program.layers)} layers, {len(program.instructions)} instructions for {chosen.name}, "
        f"{accelerated / total:.0%} of {total:,} MACs on the accelerator"
    )
