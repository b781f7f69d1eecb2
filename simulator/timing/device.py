"""The timing model as a device: it runs launches, and holds no results."""

import numpy as np

from ...config import Config
from ...errors import DeviceError
from ...isa.launch import Launch, Outcome
from ...isa.table import INSTRUCTION_BYTES, ErrorCode
from ...isa.tokens import engines_of
from ..attached import AttachedSimulator
from ..dram import Dram
from .model import DEFAULT_LATENCY, Timing, TimingModel

__all__ = ["EVENT_DTYPE", "TimingSimulator", "events_of"]

EVENT_DTYPE = np.dtype([("cycle", "<u8"), ("index", "<u4"), ("engine", "u1"), ("retired", "u1")])
START_CYCLES = 2


class TimingSimulator(AttachedSimulator):
    """Says what programs take, and moves no data: what lies in its DRAM is what was written there.

    Its time is that of the cycle simulator with the same latency. It depends on instructions and on addresses only. A
    program must be legal; of those that are not, some end in an error here too, others do not.

    Parameters
    ----------
    config
        The hardware.
    dram
        Where programs lie; a new one by default.
    latency
        Cycles from a request to DRAM to its first answer.
    trace
        Keep when instructions start and retire, for :meth:`events`.

    Raises
    ------
    DeviceError
        There is no C compiler, or `latency` is out of range.
    """

    name = "timing"

    def __init__(
        self, config: Config, *, dram: Dram | None = None, latency: int = DEFAULT_LATENCY, trace: bool = False
    ) -> None:
        super().__init__(config, dram)
        self._model = TimingModel(config, latency=latency)
        self._trace = trace
        self._events = np.empty(0, EVENT_DTYPE)

    def close(self) -> None:
        """Nothing to let go of."""

    def read(self, address: int, nbytes: int) -> np.ndarray:
        """Refused.

        Raises
        ------
        DeviceError
            Always.
        """
        raise DeviceError("device timing moves no data, so it has no outputs: take native or cycle to read them")

    def events(self) -> np.ndarray:
        """What started and retired in the last run, with `trace`; as from the cycle simulator."""
        return self._events

    def _execute(self, launch: Launch) -> Outcome:
        program = self.dram.view(launch.program, launch.count * INSTRUCTION_BYTES).reshape(-1, INSTRUCTION_BYTES)
        timing = self._model.time(program, address=launch.program, segments=launch.segments, trace=self._trace)
        if self._trace and timing.error is ErrorCode.NONE:
            self._events = events_of(program, timing)
        return Outcome(error=timing.error, index=timing.index, counters=timing.counters)


def events_of(instructions: np.ndarray, timing: Timing) -> np.ndarray:
    """A traced timing as the events that the cycle simulator records.

    Parameters
    ----------
    instructions
        uint8, shape (n, 64).

    Returns
    -------
    Structured array, fields `cycle` (from the launch: the start takes effect two cycles after it), `index`, `engine`,
    `retired`; in order of time.
    """
    assert timing.started is not None and timing.retired is not None
    engines = engines_of(instructions)
    index = np.flatnonzero(engines >= 0)
    events = np.zeros((2, len(index)), EVENT_DTYPE)
    events["index"] = index
    events["engine"] = engines[index]
    events["cycle"] = np.stack([timing.started, timing.retired])[:, index] + START_CYCLES
    events["retired"] = [[0], [1]]
    flat = events.reshape(-1)
    return flat[np.lexsort((flat["retired"], flat["engine"], flat["cycle"]))]
