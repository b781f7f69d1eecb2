"""A run of the core in steps, on any simulator; and the first step after which two of them differ."""

from collections.abc import Callable
from dataclasses import replace

from ..isa.launch import Launch, Outcome
from ..isa.stepping import SteppedRun
from ..isa.table import INSTRUCTION_BYTES, ErrorCode
from .device import Simulator
from .machine_state import MachineState, capture, restore

__all__ = ["Stepper", "first_difference"]

_STRETCH = 64  # steps between two copies of all memories


class Stepper:
    """One run of the core, of which any number of instructions is done.

    The device is never asked to stop: it is given the instructions between here and there as a program of their own.

    Parameters
    ----------
    launch
        Of the whole run; its segments and watchdog are those of every part.

    Members
    -------
    done
        How many steps of `run` are done.
    outcome
        How the last part ended. After an error nothing goes on until :meth:`restore`.
    """

    def __init__(self, device: Simulator, run: SteppedRun, launch: Launch) -> None:
        self.device = device
        self.run = run
        self.launch = launch
        self.done = 0
        self.outcome = Outcome()
        self._place = device.allocate(INSTRUCTION_BYTES * (len(run) + 1))

    def advance(self, to: int) -> None:
        """Do the steps up to and without `to`."""
        if to == self.done or self.outcome.error is not ErrorCode.NONE:
            return
        code, indices = self.run.part(self.done, to)
        self.device.write(self._place, code)
        outcome = self.device.run(replace(self.launch, program=self._place, count=len(code)))
        if outcome.error is not ErrorCode.NONE:
            outcome = replace(outcome, index=(*indices, len(self.run))[min(outcome.index, len(indices))])
        self.outcome = outcome
        self.done = to

    def capture(self, *, stored_only: bool = False) -> MachineState:
        """All memories, and how the last part ended; `stored_only` leaves out segments that the run never stores to."""
        wanted = self.run.stored if stored_only else range(len(self.launch.segments))
        segments = [segment if n in wanted else (0, 0) for n, segment in enumerate(self.launch.segments)]
        return replace(capture(self.device, segments), error=self.outcome.error, index=self.outcome.index)

    def restore(self, state: MachineState, done: int) -> None:
        """Go back to what :meth:`capture` gave after `done` steps, here or on another device."""
        restore(self.device, self.launch.segments, state)
        self.outcome = Outcome(state.error, state.index)
        self.done = done


def first_difference(
    one: Stepper,
    other: Stepper,
    until: int,
    *,
    every: int,
    progress: Callable[[int], object] = lambda done: None,
) -> int | None:
    """Take both, which are equal, on to `until`, or to the first step after which they are found to differ.

    They are compared after every `every` steps, and where they differ, the steps since are taken again, halving them,
    up to one before which both are equal and after which they are not. With `every` 1 nothing escapes. With more, a
    difference does that is gone when they are compared; but then instructions overlap on a device with time as they do
    in the whole program, and a mistake that depends on what runs beside an instruction, or shortly before it, appears.
    Segments that the run never stores to are compared less often.

    Parameters
    ----------
    progress
        Called with the steps done.

    Returns
    -------
    How many steps were done when both were equal for the last time: the step after them is to blame, and both stand
    after it. None where both are equal after `until`.
    """
    while one.done < until and one.outcome.error is ErrorCode.NONE:
        begin = one.done, one.capture()
        end = min(one.done + max(every, _STRETCH), until)
        while one.done < end and one.outcome.error is ErrorCode.NONE:
            low = one.done
            wrong = _states(one, other, min(low + every, end), stored_only=True)
            if not wrong[0].same_as(wrong[1]):
                return _narrow(one, other, begin, low, wrong)
        wrong = _states(one, other, one.done)
        if not wrong[0].same_as(wrong[1]):
            return _narrow(one, other, begin, begin[0], wrong)
        progress(one.done)
    return None


def _states(one: Stepper, other: Stepper, to: int, *, stored_only: bool = False) -> tuple[MachineState, MachineState]:
    one.advance(to)
    other.advance(to)
    return one.capture(stored_only=stored_only), other.capture(stored_only=stored_only)


def _narrow(
    one: Stepper, other: Stepper, begin: tuple[int, MachineState], low: int, wrong: tuple[MachineState, MachineState]
) -> int:
    """Take both from `wrong`, unequal states, to the end of the step to blame.

    Parameters
    ----------
    begin
        Steps done, and the state of both then.
    low
        Steps after which both were equal.
    """
    high = one.done
    while high - low > 1:
        middle = (low + high) // 2
        one.restore(begin[1], begin[0])
        other.restore(begin[1], begin[0])
        states = _states(one, other, middle)
        if states[0].same_as(states[1]):
            low = middle
        else:
            high, wrong = middle, states
    one.restore(wrong[0], high)
    other.restore(wrong[1], high)
    return low
