"""The waveform of only the cycles around a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import CycleLimit, DeviceError
from ..isa.program import Run
from .debugger import Debugger
from .device import Device, Simulator, Traced
from .machine_state import capture, restore
from .session import Session
from .stops import Stopped

__all__ = ["WaveWindow", "locate", "record"]


@dataclass(frozen=True)
class WaveWindow:
    """Cycles of one run of the core, from its launch.

    Members
    -------
    step
        The program's step.
    start, retire
        The cycles in which the instruction in question started and retired; the same where a cycle was asked for.
    first, end
        What to show: from `first` on and before `end`.
    """

    step: int
    start: int
    retire: int
    first: int
    end: int


def locate(debugger: Debugger, stopped: Stopped, margin: int) -> WaveWindow:
    """The cycles around the place where `debugger` stopped, and `margin` more on either side.

    At the program's end that is the last instruction of its last run.
    The whole run is taken once more on the debugger's cycle simulator, untouched, for only so its cycles are its own.

    Raises
    ------
    DeviceError
        None of the devices has cycles and remembers instructions, or the core was not running.
    """
    steps, number = debugger.program.steps, stopped.step
    while stopped.why == "end" and number and not isinstance(steps[number], Run):
        number -= 1
    step = steps[number]
    if not isinstance(step, Run) or debugger.before is None:
        raise DeviceError("a waveform must be of a place at which the core runs, not of a step on the host")
    if stopped.cycle is not None:
        return WaveWindow(number, stopped.cycle, stopped.cycle, *_around(stopped.cycle, stopped.cycle, margin))
    session = next((each for each in debugger.sessions if hasattr(each.device, "max_cycles")), None)
    if session is None:
        raise DeviceError("a waveform must come from the cycle simulator: add --device cycle or --against cycle")
    events = _events_of_run(debugger, session, number)
    index = step.first + step.count - 2 if stopped.index is None else stopped.index
    mine = events[events["index"] == index - step.first]
    if not len(mine):
        raise DeviceError(f"instruction {index} must start when the whole program runs, for a waveform, and does not")
    start, retire = int(mine["cycle"].min()), int(mine["cycle"].max())
    return WaveWindow(number, start, retire, *_around(start, retire, margin))


def record(debugger: Debugger, window: WaveWindow, open_device: Callable[[tuple[int, int]], Device]) -> None:
    """Run the debugger's run of the core once more on a device that writes a waveform, up to the end of `window`.

    Parameters
    ----------
    open_device
        Makes that device for (first, end).
    """
    assert debugger.before is not None
    device = open_device((window.first, window.end))
    assert isinstance(device, Simulator)
    try:
        launch = Session(debugger.program, device).launch(window.step)
        restore(device, launch.segments, debugger.before)
        device.max_cycles = window.end  # type: ignore[attr-defined]
        device.run(launch)
    except CycleLimit:
        pass
    finally:
        device.close()


def _around(start: int, retire: int, margin: int) -> tuple[int, int]:
    return max(start - margin, 0), retire + margin + 1


def _events_of_run(debugger: Debugger, session: Session, step: int) -> np.ndarray:
    """What started and retired when in the whole run; the device is afterwards as it was before."""
    device = session.device
    assert isinstance(device, Simulator) and isinstance(device, Traced) and debugger.before is not None
    launch = session.launch(step)
    present = capture(device, launch.segments)
    restore(device, launch.segments, debugger.before)
    try:
        device.run(launch)
        return device.events()
    finally:
        restore(device, launch.segments, present)
