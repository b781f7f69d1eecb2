"""Commands on program files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..driver.device import CYCLE_DEVICES
from ..errors import DeviceError, ProgramError
from .devices import device_option
from .files import out_option, read_arrays, read_text, write_arrays, write_text
from .running import Interrupted, run_program, show_finished, until_option

if TYPE_CHECKING:
    import numpy as np

    from ..isa.program import Program, Run

__all__ = ["assemble", "check", "disassemble", "load_to_run", "run"]

_program_argument = click.argument("program", type=click.Path(path_type=Path))


@click.command()
@_program_argument
@device_option("native")
@click.option("--inputs", "-i", type=click.Path(path_type=Path), help="npz file, an array an input.")
@out_option(False, "the outputs, npz; without it they are printed")
@click.option("--config", "-c", help="Refuse a program for another configuration than this: a preset or a TOML file.")
@click.option("--latency", type=click.IntRange(1, 1_000_000), help="Cycles of DRAM latency (cycle).")
@click.option("--stalls", type=click.IntRange(0, (1 << 63) - 1), help="Seed of random bus stalls (cycle).")
@out_option(False, "a waveform of all signals, .fst or .vcd (cycle)", "--waveform")
@click.option("--json", "as_json", is_flag=True, help="Print what each layer took as JSON.")
@until_option
@click.option("--watchdog", type=click.IntRange(0, (1 << 32) - 1), help="Cycles without progress that end a run.")
@click.option("--check/--no-check", default=True, show_default=True, help="Prove the program legal before it runs.")
def run(
    program: Path,
    device: str,
    inputs: Path | None,
    out: Path | None,
    config: str | None,
    watchdog: int | None,
    as_json: bool,
    check: bool,
    until: str | None,
    **options: object,
) -> None:
    """Run PROGRAM on a device with inputs from a file; without instructions it needs none.

    Ctrl-C ends a run on a simulator cleanly: layers that were finished are listed, and with
    --out those of their results that DRAM still holds are written.
    """
    given = _device_options(device, options)
    loaded = load_to_run(program, config, check)
    if until is not None:
        from ..isa.until import until as ended

        loaded = ended(loaded, until)
    arrays = read_arrays(inputs) if inputs is not None else {}
    latency = given.get("latency")
    try:
        outputs, records = run_program(loaded, device, arrays, given, watchdog=watchdog, latency=latency)  # type: ignore[arg-type]
    except Interrupted as stop:
        show_finished(stop, device, out)
        raise
    if out is not None:
        write_arrays(out, outputs)
    from .report import layers_json, print_arrays, print_layers

    if as_json:
        click.echo(json.dumps(layers_json(loaded, records), indent=1))
        return
    print_layers(loaded, records, device if len(loaded.instructions) else "the host")
    if out is None:
        print_arrays(outputs)


def _device_options(device: str, options: dict[str, object]) -> dict[str, object]:
    """Those that were given; only the cycle simulator has any."""
    given = {name: value for name, value in options.items() if value is not None}
    if device in CYCLE_DEVICES:
        return {**given, "trace": True}
    for name in given:
        raise DeviceError(f"--{name} needs the cycle simulator, not device {device}: add --device cycle")
    return {}


def load_to_run(path: Path, config: str | None, check: bool) -> "Program":
    """A program file; `config` is the configuration that it must be for, `check` whether to prove it legal.

    Raises
    ------
    TilewrightError
        It can't be read, is for another configuration, or breaks a rule.
    """
    from ..config import load_config
    from ..driver.matching import require_same
    from ..isa.checker import require_program
    from ..isa.program import Program

    loaded = Program.load(path)
    if config is not None:
        require_same(loaded.config, load_config(config), device=f"--config {config}")
    if check:
        try:
            require_program(loaded)
        except ProgramError as error:
            raise ProgramError(f"{path.name}: {error}; mend it, or run it as it is with --no-check") from None
    return loaded


@click.command()
@_program_argument
@out_option(False, "the text; the terminal by default")
def disassemble(program: Path, out: Path | None) -> None:
    """Print PROGRAM's instructions as text."""
    from ..isa.assembly import disassemble as to_text
    from ..isa.program import Program

    loaded = Program.load(program)
    header = f"; {program.name}: configuration {loaded.config.name} ({loaded.config.hash})\n"
    starts = {layer.first: layer for layer in loaded.layers if layer.target == "accelerator"}
    lines = []
    for number, instruction in enumerate(loaded.decoded()):
        if number in starts:
            lines.append(f"; {starts[number].name} ({starts[number].operator})")
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
    from ..isa.program import Program, encode_instructions

    chosen = load_config(config)
    try:
        instructions = encode_instructions(from_text(read_text(text, "assembly file")))
        program = Program(config=chosen, instructions=instructions, steps=_runs(instructions))
    except ProgramError as error:
        raise ProgramError(f"{text.name}: {error}") from None
    program.save(out)


def _runs(instructions: "np.ndarray") -> "tuple[Run, ...]":
    """A run up to each FINISH."""
    from ..isa.columns import opcodes
    from ..isa.program import Run
    from ..isa.table import Opcode

    ends = (opcodes(instructions) == Opcode.FINISH).nonzero()[0] + 1
    if not len(ends) or ends[-1] != len(instructions):
        raise ProgramError("the last instruction must be FINISH: add a line FINISH")
    starts = [0, *ends[:-1].tolist()]
    return tuple(Run(first=first, count=end - first) for first, end in zip(starts, ends.tolist(), strict=True))


@click.command()
@_program_argument
def check(program: Path) -> None:
    """Prove that PROGRAM is legal, stays inside its memories and segments, ends, and has one result.

    The last means that no two instructions that tokens leave unordered touch the same cells or bytes.
    """
    from ..isa.checker import check_program
    from ..isa.program import Program
    from ..isa.races import program_races

    loaded = Program.load(program)
    found = [str(finding) for finding in check_program(loaded)] or [
        f"race: {race}{_layers_of(loaded, race.first, race.second)}" for race in program_races(loaded)
    ]
    for line in found:
        click.echo(f"{program}: {line}", err=True)
    if found:
        raise ProgramError(f"{program} must be without findings, and has {len(found)}: compile it again")
    click.echo(f"{program}: {len(loaded.instructions)} instructions, no findings, no races")


def _layers_of(program: "Program", *indices: int) -> str:
    """``; 12 is of layer conv1 (Conv), …``"""
    known = [(index, program.layer_of(index)) for index in indices]
    return "".join(f"; {index} is of layer {layer.name} ({layer.operator})" for index, layer in known if layer)
