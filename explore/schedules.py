"""The schedules that designs are judged and built with: searched for, and kept layer by layer."""

from collections.abc import Iterator
from contextlib import contextmanager

from ..cache import cache_directory
from ..compiler.tuning import Effort, Tuner, TuningDatabase
from ..config import Config
from ..simulator.timing import ProgramClock

__all__ = ["tuner"]

_DATABASE = "explore.sqlite"
# A quarter of the effort of `-O2`, for most of its gain: a search tunes for hundreds of designs.
_EFFORT = Effort(level=1, layers=600, network=300, decisions=1, trials=1)


@contextmanager
def tuner(name: str) -> Iterator[Tuner]:
    """What gives schedules for a network that people call `name`, found by a short search.

    What it has timed lies in the cache folder, keyed by layer and configuration. Without that the same schedules are
    found again: the search's effort is counted in instructions.

    Raises
    ------
    TilewrightError
        The database can't be used.
    """
    with TuningDatabase(cache_directory() / _DATABASE) as database:
        yield Tuner(database, _clock, search=True, name=name, effort=_EFFORT)


def _clock(config: Config) -> ProgramClock:
    return ProgramClock(config, shared=True)
