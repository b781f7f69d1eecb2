"""A program on a device: with a bar, and with what was finished where Ctrl-C ends it."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DeviceError
from .files import write_arrays
from .interrupt import interrupt_seen
from .progress import run_bar, run_steps

if TYPE_CHECKING:
    import numpy as np

    from ..driver.finished import Finished
    from ..driver.session import Session, StepRecord
    from ..isa.program import Program

__all__ = ["Interrupted", "run_program", "show_finished", "until_option"]

until_option = click.option(
    "--until", metavar="LAYER", help="Run up to and with this layer; its results are the outputs."
)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the middle of a run, and what was finished."""

    def __init__(self, finished: "Finished") -> None:
        super().__init__()
        self.finished = finished


def run_program(
    program: "Program",
    device: str,
    inputs: "Mapping[str, np.ndarray]",
    options: Mapping[str, Any],
    *,
    watchdog: int | None = None,
    latency: int | None = None,
    traced: bool = False,
) -> "tuple[dict[str, np.ndarray], Sequence[StepRecord]]":
    """Outputs, and what each step took.

    Parameters
    ----------
    options
        The device's own.
    latency
        Of DRAM, for the time left; the usual one where None.
    traced
        Whether the device must know what its core did when.

    Raises
    ------
    DeviceError
        The device has no time, where `traced`.
    Interrupted
        Ctrl-C, once the device has answered it.
    """
    from ..cache import tell_builds
    from ..driver.device import Traced, open_device
    from ..driver.session import Session
    from ..isa.launch import DEFAULT_WATCHDOG

    with run_bar(program, device, latency) as bar:
        watched = dict(options) if bar is None else {**options, "progress": bar.advance}
        with tell_builds(partial(click.echo, err=True) if bar is None else bar.note):
            opened = open_device(device, program.config, **watched) if len(program.instructions) else None
        session = None
        try:
            if traced and not isinstance(opened, Traced):
                raise DeviceError(f"device {device} has no time to measure: take cycle or timing")
            session = Session(program, opened, watchdog=DEFAULT_WATCHDOG if watchdog is None else watchdog)
            return run_steps(session, inputs, bar), session.records
        except KeyboardInterrupt:
            if session is None:
                raise
            interrupt_seen()
            raise _interrupted(session) from None
        finally:
            if opened is not None:
                opened.close()


def _interrupted(session: "Session") -> Interrupted:
    from ..driver.finished import finished

    return Interrupted(finished(session))


def show_finished(stop: Interrupted, device: str, out: Path | None) -> None:
    """Say how far a run came; the layers that were finished go to the terminal, their results to `out`."""
    from .report import print_layers

    done = stop.finished
    cycles = f", {done.cycles:,} cycles" if done.cycles else ""
    click.echo(f"stopped after {done.instructions:,} of {done.total:,} instructions{cycles}", err=True)
    if done.program is not None:
        print_layers(done.program, done.records, f"{device}, finished layers")
        if out is not None and done.results:
            write_arrays(out, done.results)
            click.echo(f"{out}: {len(done.results)} results of finished layers", err=True)
