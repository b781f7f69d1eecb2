"""Workers on other machines, or on this one: a Dask cluster that someone else has started."""

from collections.abc import Iterator, Sequence
from threading import Lock
from types import TracebackType
from typing import Any

from ..errors import DeviceError
from .rungs import Measurement
from .tools import tool_versions
from .workers import Job, Setting, evaluate

__all__ = ["Cluster", "evaluate_there"]

_PATIENCE_SECONDS = 30
_one_at_a_time = Lock()  # simulators and the compiler are no good for several threads of one process


class Cluster:
    """A Dask scheduler and its workers; those that die are not missed, their jobs go to others.

    Each worker must have this version of Tilewright, and see the models' files under the same paths.

    Parameters
    ----------
    address
        The scheduler's, such as "tcp://10.0.0.1:8786".

    Raises
    ------
    DeviceError
        Dask is not installed, or no scheduler answers.
    """

    def __init__(self, setting: Setting, address: str) -> None:
        self._setting = setting
        self._address = address
        self._dask = _require_dask()
        try:
            self._client = self._dask.Client(address, timeout=_PATIENCE_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DeviceError(
                f"--cluster must be the address of a Dask scheduler, not {address!r} ({why}): "
                "start one with 'dask scheduler'"
            ) from None

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()  # which takes back what has not begun

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement]]:
        """As :class:`.workers.Workers`.

        Raises
        ------
        DeviceError
            Workers died of one job again and again, or have another version.
        """
        futures = {self._client.submit(evaluate_there, self._setting, job, pure=False): n for n, job in enumerate(jobs)}
        try:
            for future in self._dask.as_completed(futures, loop=self._client.loop):
                yield futures[future], future.result()
        except self._dask.KilledWorker as error:
            raise DeviceError(f"the workers of {self._address} must live, but died again and again: {error}") from None
        finally:
            self._client.cancel([future for future in futures if not future.done()])


def evaluate_there(setting: Setting, job: Job) -> Measurement:
    """As :func:`.workers.evaluate`, in a worker of a cluster.

    Raises
    ------
    DeviceError
        It has not the versions that the job must be evaluated with.
    """
    if tool_versions(job.rung) != job.tools:
        raise DeviceError(
            f"workers of the cluster must have the search's own version of Tilewright and its tools, {job.tools}, "
            f"not {tool_versions(job.rung)}: install the same one"
        )
    with _one_at_a_time:
        return evaluate(setting, job)


def _require_dask() -> Any:
    try:
        import distributed
    except ImportError:
        raise DeviceError("--cluster must have Dask: pip install 'tilewright[cluster]'") from None
    return distributed
