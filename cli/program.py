"""Commands on program files."""

import json
from pathlib import Path

import click

from ..driver.device import DEVICES
from ..errors import ProgramError
from .files import out_option, read_arrays, write_arrays, write_text

__all__ = ["assemble", "check", "disassemble", "run"]

_program_argument = click.argument("program", type=click.Path(path_type=Path))


@click.command()
@_program_argument
@click.option("--device", "-d", type=click.Choice(list(DEVICES)), default="native", show_default=True)
@click.option("--inputs", "-i", type=click.Path(path_type=Path), required=True, help="npz file, an array an input.")
@out_option(False, "the outputs, npz; without it they are printed")
@click.option("--latency", type=click.IntRange(1), help="Cycles of DRAM latency (cycle).")
@click.option("--stalls", type=click.IntRange(0), help="Seed of random bus stalls (cycle).")
@click.option("--waveform", type=click.Path(path_type=Path), help="FST or VCD file of all signals (cycle).")
@click.option("--json", "as_json", is_flag=True, help="Print what each layer took as JSON.")
@click.option("--watchdog", type=click.IntRange(0), default=None, help="Cycles without progress that end a run.")
def run(
    program: Path,
    device: str,
    inputs: Path,
    out: Path | None,
    latency: int | None,
    stalls: int | None,
    waveform: Path | None,
    as_json: bool,
    watchdog: int | None,
) -> None:
    """Run PROGRAM on a device with inputs from a file."""
    from ..driver.device import open_device
    from ..driver.layers import layer_reports
    from ..driver.session import Session
    from ..isa.launch import DEFAULT_WATCHDOG
    from ..isa.program import Program
    from .report import layers_json, print_arrays, print_layers

    loaded = Program.load(program)
    arrays = read_arrays(inputs)
    options = {"latency": latency, "stalls": stalls, "waveform": waveform}
    given = {name: value for name, value in options.items() if value is not None}
    if device == "cycle":
        given["trace"] = True
    opened = open_device(device, loaded.config, **given)
    try:
        session = Session(loaded, opened, watchdog=DEFAULT_WATCHDOG if watchdog is None else watchdog)
        outputs = session.run(arrays)
    finally:
        opened.close()
    reports = layer_reports(loaded, session.records)
    if out is not None:
        write_arrays(out, outputs)
    if as_json:
        click.echo(json.dumps(layers_json(loaded, reports, session.records), indent=1))
        return
    print_layers(loaded, reports, device)
    if out is None:
        print_arrays(outputs)


@click.command()
@_program_argument
@out_option(False, "the text; the terminal by default")
def disassemble(program: Path, out: Path | None) -> None:
    """Print PROGRAM's instructions as text."""
    from ..isa.assembly import disassemble as to_text
    from ..isa.program import Program

    loaded = Program.load(program)
    header = f"# {program.name}: configuration {loaded.config.name} ({loaded.config.hash})\n"
    starts = {layer.first: layer for layer in loaded.layers if layer.target == "accelerator"}
    lines = []
    for number, instruction in enumerate(loaded.decoded()):
        if number in starts:
            lines.append(f"# {starts[number].name} ({starts[number].operator})")
        lines.append(to_text([instruction]).rstrip("\n"))
    write_text(out, header + "\n".join(lines) + "\n")


@click.command()
@click.argument("text", type=click.Path(path_type=Path))
@click.option("--config", "-c", default="vta-16", show_default=True, help="Configuration to assemble for.")
@out_option(True, "the program")
def assemble(text: Path, config: str, out: Path) -> None:
    """Assemble TEXT, as `disassemble` prints it, to a program file without memory of its own."""
    from ..config import load_config
    from ..isa.assembly import assemble as from_text
    from ..isa.program import Program, Run, encode_instructions

    chosen = load_config(config)
    try:
        source = text.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ProgramError(f"assembly must be UTF-8 text, and {text} is not") from None
    instructions = encode_instructions(from_text(source))
    Program(config=chosen, instructions=instructions, steps=(Run(first=0, count=len(instructions)),)).save(out)


@click.command()
@_program_argument
def check(program: Path) -> None:
    """Prove that PROGRAM is legal, stays inside its memories and segments, and ends."""
    from ..isa.checker import check_program
    from ..isa.program import Program

    loaded = Program.load(program)
    findings = check_program(loaded)
    for finding in findings:
        click.echo(f"{program}: {finding}", err=True)
    if findings:
        raise ProgramError(f"{program} must be without findings, and has {len(findings)}: compile it again")
    click.echo(f"{program}: {len(loaded.instructions)} instructions, no findings")
