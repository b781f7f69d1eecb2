"""The timing model as a clock for whole programs: what the compiler's tuning is handed."""

from functools import cached_property
from pathlib import Path

from ...config import Config
from ...files import digest_of_files
from ...isa.program import Program
from .model import DEFAULT_LATENCY, TimingModel
from .program import time_program

__all__ = ["ProgramClock"]


class ProgramClock:
    """Cycles of programs of one configuration on DRAM of a fixed latency. The first question builds the model.

    Parameters
    ----------
    shared
        As of :class:`TimingModel`: nothing is compiled for the configuration alone.
    """

    def __init__(self, config: Config, *, latency: int = DEFAULT_LATENCY, shared: bool = False) -> None:
        self._config = config
        self._latency = latency
        self._shared = shared

    @property
    def identity(self) -> str:
        """Changes whenever answers may: the model's sources, and the latency."""
        sources = digest_of_files(Path(__file__).parent, ("*.py", "source/*"))
        return f"timing {sources} latency {self._latency}"

    @cached_property
    def _model(self) -> TimingModel:
        return TimingModel(self._config, latency=self._latency, shared=self._shared)

    def cycles(self, program: Program) -> int:
        """Of all its runs, its memory placed as in a fresh DRAM.

        Raises
        ------
        DeviceError
            A run does not end, or there is no C compiler.
        """
        return sum(run.timing.cycles for run in time_program(program, model=self._model))
