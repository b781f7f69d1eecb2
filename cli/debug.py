"""``tilewright debug``"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ProgramError
from .files import out_option, read_arrays, write_array, write_arrays

if TYPE_CHECKING:
    from ..driver.debugger import Debugger
    from ..driver.device import Device
    from ..driver.stops import Stop, Stopped
    from ..isa.program import Program
    from .progress import RunBar

__all__ = ["debug"]

_DEVICES = ("native", "oracle", "cycle")  # those whose memories can be looked into
_DIFFERENT = 1
_SHOWN = (0, 15)


@click.command()
@click.argument("program", type=click.Path(path_type=Path))
@click.option("--device", "-d", type=click.Choice(_DEVICES), default="native", show_default=True)
@click.option(
    "--against", "-a", type=click.Choice(_DEVICES), help="Compare with this device, and stop where they differ."
)
@click.option("--until", "-u", help="Stop when this is done: instruction:N, layer:N, layer:NAME; or at cycle:N.")
@click.option("--inputs", "-i", type=click.Path(path_type=Path), help="npz file, an array an input; else random ones.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of random inputs.")
@click.option("--every", type=click.IntRange(1), help="Instructions between two comparisons: 1, or 64 with cycle.")
@click.option(
    "--dump",
    "dumps",
    multiple=True,
    metavar="NAME[:A..B][=FILE]",
    help="A memory (ACT, ACC.1, WGT …), segment or tensor to a .npy file, 'all' to .npz; or cells A to B as text.",
)
@out_option(False, "a waveform of the cycles around the stop, .fst or .vcd (cycle)", "--wave")
@click.option(
    "--window", type=click.IntRange(0), default=200, show_default=True, help="Cycles before and after, in the waveform."
)
@click.option("--interactive", is_flag=True, help="Ask for more places and memories at the stop.")
@click.option("--latency", type=click.IntRange(1, 1_000_000), help="Cycles of DRAM latency (cycle).")
@click.option("--stalls", type=click.IntRange(0, (1 << 63) - 1), help="Seed of random bus stalls (cycle).")
@click.option("--check/--no-check", default=True, show_default=True, help="Prove the program legal before it runs.")
def debug(
    program: Path,
    device: str,
    against: str | None,
    until: str | None,
    inputs: Path | None,
    seed: int,
    every: int | None,
    dumps: tuple[str, ...],
    wave: Path | None,
    window: int,
    check: bool,
    interactive: bool,
    **memory: Any,
) -> None:
    """Run PROGRAM up to a place, look into memories, find the first instruction on which two devices differ.

    Exit status 1 where they differ, or where the core stops with an error.
    """
    from ..driver.debugger import Debugger
    from ..driver.inputs import random_inputs
    from ..driver.stops import Stop
    from .program import load_to_run

    loaded = load_to_run(program, None, check)
    if check:
        _warn_of_races(loaded, program)
    wanted = [_Dump.parse(text, loaded) for text in dumps]
    place = None if until is None else Stop.parse(until, loaded)
    arrays = random_inputs(loaded, seed) if inputs is None else read_arrays(inputs)
    options = _cycle_options(memory, wave, device, against)
    with ExitStack() as opened:
        devices = [opened.enter_context(_opened(name, loaded, options)) for name in (device, against) if name]
        progress = _Progress()
        debugger = Debugger(loaded, *devices, every=every, progress=progress.told)

        def run(place: Stop | None) -> Stopped:
            with progress.watched(loaded):
                return debugger.run(arrays, place)

        stopped = run(place)
        click.echo(_told(stopped, loaded, device, against))
        for each in wanted:
            each.write(debugger)
        if wave is not None:
            _write_wave(debugger, stopped, wave, window, options)
        if interactive:
            from .debug_prompt import Prompt

            Prompt(
                loaded,
                stopped,
                run=run,
                told=lambda stopped: _told(stopped, loaded, device, against),
                show=lambda text: _Dump.parse(text, loaded).write(debugger),
            ).cmdloop()
    if stopped.why in ("difference", "error"):
        sys.exit(_DIFFERENT)


def _warn_of_races(program: Program, path: Path) -> None:
    from ..isa.races import program_races

    races = program_races(program)
    if races:
        more = f" (and {len(races) - 1} more races)" if len(races) > 1 else ""
        click.echo(f"{path.name}: devices may differ, and be right, since {races[0]}{more}", err=True)


@contextmanager
def _opened(name: str, program: Program, options: dict[str, Any]) -> Iterator[Device]:
    from ..driver.device import open_device

    device = open_device(name, program.config, **({**options, "trace": True} if name == "cycle" else {}))
    try:
        yield device
    finally:
        device.close()


class _Progress:
    """What the debugger tells of its progress, as a bar; without time, since parts of a run have other cycles."""

    def __init__(self) -> None:
        self._bar: RunBar | None = None

    @contextmanager
    def watched(self, program: Program) -> Iterator[None]:
        from .progress import run_bar

        with run_bar(program, "oracle") as self._bar:
            yield
        self._bar = None

    def told(self, done: int) -> None:
        if self._bar is not None and not done:
            self._bar.begin_run()
        if self._bar is not None:
            self._bar.advance(done, 0)


def _cycle_options(memory: dict[str, Any], wave: Path | None, *devices: str | None) -> dict[str, Any]:
    given = {name: value for name, value in memory.items() if value is not None}
    asked = [f"--{name}" for name in given] + (["--wave"] if wave is not None else [])
    if asked and "cycle" not in devices:
        raise ProgramError(f"{asked[0]} needs the cycle simulator: add --device cycle or --against cycle")
    return given


class _Dump:
    """``NAME[:A..B][=FILE]``"""

    def __init__(self, name: str, cells: tuple[int, int], out: Path | None) -> None:
        self.name, self.cells, self.out = name, cells, out

    @classmethod
    def parse(cls, text: str, program: Program) -> _Dump:
        from ..driver.dumps import require_known

        left, given, file = text.partition("=")
        name, _, cells = left.partition(":") if ".." in left.rpartition(":")[2] else (left, "", "")
        first, _, last = cells.partition("..")
        if cells and not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            raise ProgramError(f"--dump must name cells as ACT:0..15, not {text}")
        out = Path(file) if given else None
        if out is not None and (cells or out.suffix not in (".npy", ".npz")):
            raise ProgramError(f"--dump must name a whole memory and a file .npy or .npz, not {text}")
        if name == "all" and (out is None or out.suffix != ".npz"):
            raise ProgramError(f"--dump of all must go to a file .npz, as all=state.npz, not {text}")
        if name != "all":
            require_known(program, name)
        return cls(name, (int(first), int(last)) if cells else _SHOWN, out)

    def write(self, debugger: Debugger) -> None:
        from ..driver import dumps

        session = debugger.sessions[0]
        if self.name == "all":
            assert self.out is not None
            write_arrays(self.out, dumps.dump_all(session))
            return
        array = dumps.dump(session, self.name)
        if self.out is None:
            click.echo(f"{self.name} {array.dtype} {array.shape}")
            click.echo(dumps.window(self.name, array, *self.cells))
        elif self.out.suffix == ".npz":
            write_arrays(self.out, {self.name: array})
        else:
            write_array(self.out, array)


def _write_wave(debugger: Debugger, stopped: Stopped, wave: Path, margin: int, options: dict[str, Any]) -> None:
    from ..driver.device import open_device
    from ..driver.wave_window import locate, record

    window = locate(debugger, stopped, margin)
    config = debugger.program.config
    record(debugger, window, lambda cycles: open_device("cycle", config, waveform=wave, window=cycles, **options))
    when = f"cycle {window.start}" if window.start == window.retire else f"cycles {window.start} to {window.retire}"
    click.echo(f"{wave}: cycles {window.first} to {window.end - 1} of the run; the stop is {when}")


def _told(stopped: Stopped, program: Program, device: str, against: str | None) -> str:
    both = device if against is None else f"{device} and {against}"
    if stopped.why == "end":
        return f"{both}: the program ran to its end" + (", with equal memories" if against else "")
    if stopped.difference is not None:
        return str(stopped.difference)
    if stopped.outcome is not None:
        layer = f" of layer {stopped.layer.name} ({stopped.layer.operator})" if stopped.layer else ""
        return f"{both}: stopped with {stopped.outcome.error.name} at instruction {stopped.index}{layer}"
    return _told_place(stopped, program, both) + (", with equal memories" if against else "")


def _told_place(stopped: Stopped, program: Program, both: str) -> str:
    from ..isa.assembly import disassemble_line
    from ..isa.program import Run

    layer = f" of layer {stopped.layer.name} ({stopped.layer.operator})" if stopped.layer else ""
    if stopped.cycle is not None:
        flying = ", ".join(map(str, stopped.in_flight)) or "none"
        last = "none yet" if stopped.index is None else f"{stopped.index}{layer}"
        return f"{both}: at cycle {stopped.cycle} of step {stopped.step}; last retired: {last}; in flight: {flying}"
    if stopped.index is None:
        return f"{both}: after{layer.removeprefix(' of')}, on the host"
    line = disassemble_line(program.decoded(Run(first=stopped.index, count=1))[0])
    return f"{both}: after instruction {stopped.index}{layer}: {line}"
