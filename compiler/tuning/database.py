"""The tuning database: a SQLite file with the best schedules found so far.

Everything that was measured is written as soon as it is known, in transactions of its own: who is interrupted loses
what was under way at most, and several processes may use one file at once.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import TilewrightError
from ..schedule.decision import Schedule
from .decisions import decisions_text, read_decisions, read_schedule, schedule_text

__all__ = ["DatabaseError", "Key", "NetworkEntry", "OperatorEntry", "TuningDatabase"]

_APPLICATION = 0x544C5754  # in the file's header: this is ours
_FORMAT = 2
_PATIENCE_SECONDS = 60.0
_KEY = "(workload, hardware, versions) = (?, ?, ?)"
_TABLES = """
CREATE TABLE operators (
    workload TEXT NOT NULL, hardware TEXT NOT NULL, versions TEXT NOT NULL,
    decisions TEXT NOT NULL, heuristic INTEGER NOT NULL, cycles INTEGER NOT NULL, tried INTEGER NOT NULL,
    PRIMARY KEY (workload, hardware, versions));
CREATE TABLE trials (
    workload TEXT NOT NULL, hardware TEXT NOT NULL, versions TEXT NOT NULL,
    cycles INTEGER, spent INTEGER NOT NULL,
    PRIMARY KEY (workload, hardware, versions));
CREATE TABLE networks (
    workload TEXT NOT NULL, hardware TEXT NOT NULL, versions TEXT NOT NULL,
    name TEXT NOT NULL, configuration TEXT NOT NULL, schedule TEXT NOT NULL,
    heuristic INTEGER NOT NULL, cycles INTEGER NOT NULL, searched INTEGER NOT NULL,
    PRIMARY KEY (workload, hardware, versions));
"""


class DatabaseError(TilewrightError):
    """A tuning database can't be used."""


@dataclass(frozen=True)
class Key:
    """Whose times: the configuration's hash, and the versions of compiler and clock."""

    hardware: str
    versions: str


@dataclass(frozen=True)
class OperatorEntry:
    """The best decisions for one choice of a layer between its neighbours, the best one first.

    Members
    -------
    heuristic, cycles
        With the heuristic's decision, and with the best: see :meth:`.clock.Clock.layer`.
    tried
        How many were timed.
    """

    decisions: tuple[Any, ...]
    heuristic: int
    cycles: int
    tried: int


@dataclass(frozen=True)
class Trial:
    """Cycles of a whole network with one schedule, None where that does not fit; `spent` is what timing it cost."""

    cycles: int | None
    spent: int


@dataclass(frozen=True)
class NetworkEntry:
    """The best schedule for a network, and the cycles of the whole.

    Members
    -------
    name, configuration
        For people.
    searched
        The level of the most thorough search that has ended; 0 where the first was interrupted.
    """

    name: str
    configuration: str
    schedule: Schedule
    heuristic: int
    cycles: int
    searched: int
    versions: str = ""

    @property
    def gain(self) -> float:
        """The share of the heuristics' cycles that is saved."""
        return 1 - self.cycles / self.heuristic


class TuningDatabase:
    """The database in file `path`.

    Parameters
    ----------
    create
        Whether a file that is missing is made; else it counts as empty.

    Raises
    ------
    DatabaseError
        The file is no tuning database, or damaged, or can't be read or written; also from every method.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        if not create and not path.exists():
            return
        with self._explained():
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None)
            self._prepare(self._connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._header(connection) == (0, 0):
            with self._writing(connection):
                if self._header(connection) == (0, 0):
                    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                        raise self._foreign()
                    for statement in _TABLES.split(";")[:-1]:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                    connection.execute(f"PRAGMA user_version = {_FORMAT}")
        application, version = self._header(connection)
        if application != _APPLICATION:
            raise self._foreign()
        if version != _FORMAT:
            raise DatabaseError(
                f"tuning database {self.path} must be of format {_FORMAT}, not {version}: another version of "
                "tilewright wrote it; delete it or choose another file"
            )

    @staticmethod
    def _header(connection: sqlite3.Connection) -> tuple[int, int]:
        return (
            connection.execute("PRAGMA application_id").fetchone()[0],
            connection.execute("PRAGMA user_version").fetchone()[0],
        )

    def _foreign(self) -> DatabaseError:
        return DatabaseError(
            f"tuning database {self.path} must be tilewright's, but is another program's; choose another file"
        )

    def __enter__(self) -> TuningDatabase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What SQLite and the system say, in the user's terms."""
        try:
            yield
        except (sqlite3.OperationalError, OSError) as error:
            raise DatabaseError(
                f"tuning database {self.path} must be readable and writable: {error}; choose another file"
            ) from None
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise DatabaseError(
                f"tuning database {self.path} must be whole, but is damaged or no database ({error}); delete it"
            ) from None

    @contextmanager
    def _writing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """All or nothing, one process at a time."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        return self._connection.execute(query, values).fetchall()

    def _put(self, table: str, condition: str, **values: Any) -> None:
        """Insert a row; where its key is there already, replace it if `condition` holds between `excluded` and it."""
        assert self._connection is not None, "opened for reading alone"
        columns = ", ".join(values)
        updates = ", ".join(f"{name} = excluded.{name}" for name in values)
        with self._explained(), self._writing(self._connection):
            self._connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(values))}) "
                f"ON CONFLICT (workload, hardware, versions) DO UPDATE SET {updates} WHERE {condition}",
                [*values.values()],
            )

    def trial(self, network: str, schedule: Schedule, key: Key) -> Trial | None:
        """What came of a network's schedule, if it was timed."""
        query = f"SELECT cycles, spent FROM trials WHERE {_KEY}"
        with self._explained():
            for cycles, spent in self._rows(query, _trial(network, schedule), key.hardware, key.versions):
                return Trial(None if cycles is None else int(cycles), int(spent))
        return None

    def put_trial(self, network: str, schedule: Schedule, key: Key, trial: Trial) -> None:
        """Keep what came of it."""
        workload = _trial(network, schedule)
        self._put("trials", "1", workload=workload, hardware=key.hardware, versions=key.versions, **asdict(trial))

    @property
    def filled(self) -> bool:
        """Whether there is any network in it."""
        with self._explained():
            return bool(self._rows("SELECT 1 FROM networks LIMIT 1"))

    def operator(self, workload: str, key: Key) -> OperatorEntry | None:
        """The entry for an operator between its neighbours, if there is one."""
        query = (
            "SELECT decisions, heuristic, cycles, tried FROM operators WHERE (workload, hardware, versions) = (?, ?, ?)"
        )
        with self._explained():
            for decisions, *numbers in self._rows(query, workload, key.hardware, key.versions):
                return OperatorEntry(read_decisions(decisions), *map(int, numbers))
        return None

    def put_operator(self, workload: str, key: Key, entry: OperatorEntry) -> None:
        """Keep `entry`, unless a better one is there."""
        self._put(
            "operators",
            "excluded.cycles < cycles OR (excluded.cycles = cycles AND excluded.tried > tried)",
            workload=workload,
            hardware=key.hardware,
            versions=key.versions,
            decisions=decisions_text(entry.decisions),
            heuristic=entry.heuristic,
            cycles=entry.cycles,
            tried=entry.tried,
        )

    def network(self, workload: str, key: Key) -> NetworkEntry | None:
        """The entry for a network, if there is one."""
        query = f"SELECT * FROM networks WHERE {_KEY}"
        with self._explained():
            for row in self._rows(query, workload, key.hardware, key.versions):
                return _network(row)
        return None

    def put_network(self, workload: str, key: Key, entry: NetworkEntry) -> None:
        """Keep `entry`, unless a better one is there."""
        self._put(
            "networks",
            "excluded.cycles < cycles OR (excluded.cycles = cycles AND excluded.searched > searched)",
            workload=workload,
            hardware=key.hardware,
            versions=key.versions,
            name=entry.name,
            configuration=entry.configuration,
            schedule=schedule_text(entry.schedule),
            heuristic=entry.heuristic,
            cycles=entry.cycles,
            searched=entry.searched,
        )

    def networks(self) -> list[NetworkEntry]:
        """All of them, of whatever configuration and version."""
        with self._explained():
            return [_network(row) for row in self._rows("SELECT * FROM networks ORDER BY name, configuration, rowid")]

    def layers(self) -> int:
        """How many choices of layers were enumerated."""
        with self._explained():
            return sum(int(count) for (count,) in self._rows("SELECT count(*) FROM operators"))


def _trial(network: str, schedule: Schedule) -> str:
    return f"{network} {hashlib.sha256(schedule_text(schedule).encode()).hexdigest()[:32]}"


def _network(row: tuple[Any, ...]) -> NetworkEntry:
    _, _, versions, name, configuration, schedule, heuristic, cycles, searched = row
    return NetworkEntry(
        str(name),
        str(configuration),
        read_schedule(schedule),
        int(heuristic),
        int(cycles),
        int(searched),
        str(versions),
    )
