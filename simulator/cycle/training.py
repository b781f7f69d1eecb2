"""What a simulator does while the compiler watches: random programs with nests as long as a network's layers have."""

from pathlib import Path

from ...config import Config
from ...isa.random_programs import random_program
from ..agreement import COMPARISON_DRAM_BYTES, compare
from ..dram import Dram
from .device import FastCycleSimulator
from .model import Emitted

__all__ = ["train"]

_PROGRAMS = 8
_POINTS = 60_000


class _Trainee(FastCycleSimulator):
    """A simulator from a library that records; it writes what it has recorded when it is closed."""

    def __init__(self, config: Config, library: Path) -> None:
        self._given = library
        super().__init__(config, dram=Dram(size=COMPARISON_DRAM_BYTES))

    def _library(self, emitted: Emitted, waveform: str | None, threads: int) -> Path:
        return self._given


def train(config: Config, library: Path) -> None:
    """Run programs for `config` on the model in `library`, the quick one."""
    with _Trainee(config, library) as trainee:
        for seed in range(_PROGRAMS):
            compare(random_program(config, seed, points=_POINTS), [trainee])
