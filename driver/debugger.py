"""Stops a program anywhere, looks into memories, and compares two devices instruction by instruction."""

from collections.abc import Callable, Mapping

import numpy as np

from ..errors import CycleLimit, DeviceError
from ..isa.launch import DEFAULT_WATCHDOG, Launch, Outcome
from ..isa.program import Program, Run
from ..isa.stepping import SteppedRun
from ..isa.table import ErrorCode
from .device import Device, Simulator, Traced
from .difference import Difference, describe
from .machine_state import MachineState, capture
from .session import Session
from .stepper import Stepper, first_difference
from .stops import Stop, Stopped

__all__ = ["Debugger"]

_OVERLAPPING = 64


class Debugger:
    """A program on one device, or on two that are compared.

    A device never has to stop in the middle: the instructions up to a place run as a program of their own, with the
    tokens that they give each other (:class:`.SteppedRun`). So every simulator can be debugged, and of a program
    without races memories are the same as if it had stopped there. Where the place is a cycle, memories are as they
    are in that cycle of the whole program.

    Parameters
    ----------
    against
        The other device.
    every
        Instructions after which devices are compared; see :func:`.first_difference`. By default 1, and 64 where one of
        them has time.
    progress
        Called now and then with the instructions of the present run that are done; with 0 when a run begins.

    Members
    -------
    sessions
        The program on each device.
    before
        What the first device held when the run began in which it stands; None before the first run.

    Raises
    ------
    DeviceError
        A device has no memories to look into, or another configuration than the program.
    """

    def __init__(
        self,
        program: Program,
        device: Device,
        against: Device | None = None,
        *,
        every: int | None = None,
        watchdog: int = DEFAULT_WATCHDOG,
        progress: Callable[[int], object] = lambda done: None,
    ) -> None:
        self.program = program
        self._devices = [_with_memories(each) for each in (device, against) if each is not None]
        self.sessions = [Session(program, each, watchdog=watchdog) for each in self._devices]
        self.before: MachineState | None = None
        timed = any(hasattr(each, "max_cycles") for each in self._devices)
        self._every = every or (_OVERLAPPING if timed else 1)
        self._progress = progress
        self._stopped: Stopped | None = None
        self._cycles = 0

    def run(self, inputs: Mapping[str, np.ndarray], until: Stop | None = None) -> Stopped:
        """From the beginning to `until`, to the first difference, or to the end.

        Raises
        ------
        DeviceError
            `until` is a cycle, and the device has no cycles, or two devices are compared.
        """
        self._require_possible(until)
        self._stopped, self.before, self._cycles = None, None, 0
        for session in self.sessions:
            session.begin(inputs)
        for number, step in enumerate(self.program.steps):
            if not isinstance(step, Run):
                self._call(number, until)
            elif until is not None and until.kind == "cycle":
                self._run_to_cycle(number, step, until.number)
            else:
                self._run_steps(number, step, until)
            if self._stopped is not None:
                return self._stopped
        return Stopped("end", len(self.program.steps) - 1)

    def _require_possible(self, until: Stop | None) -> None:
        if until is None or until.kind != "cycle":
            return
        if len(self.sessions) > 1:
            raise DeviceError("a cycle to stop at must be of one device, not of two that are compared: choose another")
        if not hasattr(self._devices[0], "max_cycles"):
            name = self._devices[0].name
            raise DeviceError(f"a cycle to stop at must be one of device cycle, not of {name}, which has no time")

    def _call(self, number: int, until: Stop | None) -> None:
        for session in self.sessions:
            session.perform(number)
        if until is not None and until.kind == "layer":
            layer = self.program.layers[until.number]
            if layer.target == "host" and layer.first + layer.count - 1 == number:
                self._stopped = Stopped("stop", number, layer=layer)

    def _run_steps(self, number: int, step: Run, until: Stop | None) -> None:
        run = SteppedRun(self.program.instructions[step.first : step.first + step.count], self.program.config)
        target = None if until is None else until.instruction(self.program, step)
        goal = len(run) if target is None else run.after(target - step.first)
        steppers: list[Stepper] = []

        def begin(launch: Launch) -> Outcome:
            """Called by the session of each device in turn, the second inside of the first."""
            place = len(steppers)
            steppers.append(Stepper(self._devices[place], run, launch))
            if place + 1 < len(self.sessions):
                self.sessions[place + 1].perform(number, begin)
                return Outcome()
            difference = self._take(step, steppers, goal)
            self._stopped = self._why(number, step, steppers[0], target, difference)
            return Outcome()

        self.sessions[0].perform(number, begin)

    def _take(self, step: Run, steppers: list[Stepper], goal: int) -> Difference | None:
        """Take all steppers on to `goal`, or to the first difference."""
        one, *others = steppers
        first_run = self.before is None
        self.before = one.capture()
        self._progress(0)
        if not others:
            one.advance(goal)
            self._progress(one.done)
            return None
        (other,) = others
        if first_run:  # what memories hold when they are switched on is nobody's mistake
            other.restore(MachineState(self.before.on_chip, other.capture().segments), 0)
        good = first_difference(one, other, goal, every=self._every, progress=self._progress)
        if good is None:
            return None
        index = step.first + one.run.order[good]
        (instruction,) = self.program.decoded(Run(first=index, count=1))
        return describe(
            one.capture(),
            other.capture(),
            names=(one.device.name, other.device.name),
            config=self.program.config,
            index=index,
            instruction=instruction,
            layer=self.program.layer_of(index),
        )

    def _why(
        self, number: int, step: Run, one: Stepper, target: int | None, difference: Difference | None
    ) -> Stopped | None:
        """Why to stop here, if so."""
        if difference is not None:
            return Stopped("difference", number, difference.index, difference.layer, difference)
        if one.outcome.error is not ErrorCode.NONE:
            index = step.first + one.outcome.index
            return Stopped("error", number, index, self.program.layer_of(index), outcome=one.outcome)
        if target is None:
            return None
        return Stopped("stop", number, target, self.program.layer_of(target))

    def _run_to_cycle(self, number: int, step: Run, limit: int) -> None:
        device = self._devices[0]

        def begin(launch: Launch) -> Outcome:
            self.before = capture(device, launch.segments)
            left = limit - self._cycles
            try:
                device.max_cycles = left  # type: ignore[attr-defined]
                if not left:
                    raise CycleLimit("a run must have at least one cycle")
                outcome = device.run(launch)
            except CycleLimit:
                started, retired = _events(device) if left else (set(), set())
                in_flight = tuple(sorted(step.first + index for index in started - retired))
                last = step.first + max(retired) if retired else None
                layer = None if last is None else self.program.layer_of(last)
                self._stopped = Stopped("stop", number, last, layer, cycle=left, in_flight=in_flight)
                return Outcome()
            finally:
                device.max_cycles = None  # type: ignore[attr-defined]
            self._cycles += outcome.counters["cycles"]
            return outcome

        self.sessions[0].perform(number, begin)


def _with_memories(device: Device) -> Simulator:
    if not isinstance(device, Simulator) or device.name == "timing":
        raise DeviceError(f"device {device.name} must have memories to look into, as oracle, native and cycle do")
    return device


def _events(device: Device) -> tuple[set[int], set[int]]:
    """Indices of what has started and of what has retired in the last run."""
    events = device.events() if isinstance(device, Traced) else np.empty(0, [("index", "<u4"), ("retired", "u1")])
    return set(events["index"][events["retired"] == 0].tolist()), set(events["index"][events["retired"] == 1].tolist())
