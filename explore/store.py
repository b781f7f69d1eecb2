"""Results of searches in one SQLite file: nothing in it is ever changed or deleted, and one process writes."""

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ..config import Config
from ..errors import TilewrightError
from ..files import require_place
from .rungs import Measurement, Rung

__all__ = ["Asked", "Store", "StoredTrial"]

_VERSION = 3
_TABLES = {
    "config": "hash TEXT PRIMARY KEY, text TEXT NOT NULL",
    "study": "key TEXT PRIMARY KEY, settings TEXT NOT NULL, created TEXT NOT NULL",
    "result": """
        config TEXT NOT NULL REFERENCES config (hash), workload TEXT NOT NULL, place TEXT NOT NULL,
        rung INTEGER NOT NULL, tools TEXT NOT NULL, seed INTEGER NOT NULL, quantities TEXT NOT NULL,
        refused TEXT NOT NULL, seconds REAL NOT NULL, created TEXT NOT NULL,
        PRIMARY KEY (config, workload, place, rung, tools, seed)""",
    "trial": (
        "study TEXT NOT NULL REFERENCES study (key), number INTEGER NOT NULL, point TEXT NOT NULL, "
        "config TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (study, number)"
    ),
    "front": "study TEXT NOT NULL REFERENCES study (key), rungs TEXT NOT NULL, created TEXT NOT NULL",
}
_KEEP = (
    "CREATE TRIGGER {table}_is_never_{event}d BEFORE {event} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END"
)


@dataclass(frozen=True)
class Asked:
    """What a result depends on, beside the configuration; what does not matter at a rung is "" or 0.

    Members
    -------
    workload
        The workload's key.
    place
        The board.
    tools
        Versions of what measures.
    seed
        Of inputs.
    """

    rung: Rung
    workload: str
    place: str
    tools: str
    seed: int = 0


@dataclass(frozen=True)
class StoredTrial:
    """A trial of a study.

    Members
    -------
    values
        Of the searched parameters.
    config
        The configuration's hash; "" for a point that is not legal.
    outcome, reason
        See :class:`.study.Outcome`.
    """

    number: int
    values: Mapping[str, int]
    config: str
    outcome: str
    reason: str


class Store:
    """The file of results.

    Parameters
    ----------
    path
        The file; it is made where there is none. In memory where None.
    writes
        Whether results will be added. Reading alone needs no lock and works while another process writes.

    Raises
    ------
    TilewrightError
        It is something else, of another version, can't be opened, or another process writes into it.
    """

    def __init__(self, path: Path | None, *, writes: bool = True) -> None:
        self._name = "in memory" if path is None else str(path)
        self._lock: IO[str] | None = None
        if path is not None:
            self._require(path, writes)
        try:
            self._database = self._open(path, writes)
        except sqlite3.Error as error:
            self._release()
            raise TilewrightError(f"store {self._name} must be a readable SQLite file: {error}") from None

    def _require(self, path: Path, writes: bool) -> None:
        require_place(path, "store", error=TilewrightError)
        if not writes:
            if not path.is_file():
                raise TilewrightError(f"store {path} does not exist: search first, with --store {path}")
            return
        lock = path.with_name(f"{path.name}.lock")
        try:
            self._lock = lock.open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            raise TilewrightError(f"store {path} must have one writer: wait for the other search, or end it") from None
        except OSError as error:
            raise TilewrightError(f"store {path} must be writable: {error.strerror}") from None

    def _open(self, path: Path | None, writes: bool) -> sqlite3.Connection:
        where = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode={'rwc' if writes else 'ro'}"
        database = sqlite3.connect(where, uri=path is not None, isolation_level=None)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if version == 0 and tables == 0 and writes:
                self._create(database)
            elif version != _VERSION:
                raise sqlite3.DatabaseError(f"its version is {version}, not {_VERSION}; take another file")
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _create(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN")
        for table, columns in _TABLES.items():
            database.execute(f"CREATE TABLE {table} ({columns})")
            for event in ("update", "delete"):
                database.execute(_KEEP.format(table=table, event=event))
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("COMMIT")

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the file for others."""
        self._database.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _run(self, statement: str, given: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, given)
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise TilewrightError(
                f"store {self._name} must be readable and writable, but: {error}; what was finished before is in it"
            ) from None

    def add_study(self, key: str, settings: Mapping[str, Any]) -> None:
        """Enter a study, once."""
        row = (key, json.dumps(settings, sort_keys=True), _now())
        self._run("INSERT OR IGNORE INTO study VALUES (?, ?, ?)", row)

    def add_front(self, study: str, rungs: Sequence[int]) -> None:
        """Note that the front of `study` was reported, of points measured on these rungs."""
        self._run("INSERT INTO front VALUES (?, ?, ?)", (study, json.dumps(list(rungs)), _now()))

    def front_rungs(self, study: str) -> list[int]:
        """As it was reported last; none where it never was."""
        query = "SELECT rungs FROM front WHERE study = ? ORDER BY rowid DESC LIMIT 1"
        row = self._run(query, (study,)).fetchone()
        return [] if row is None else list(json.loads(row[0]))

    def last_study(self) -> tuple[str, dict[str, Any]] | None:
        """Key and settings of the study that was reported last; else of the one that began last."""
        query = (
            "SELECT key, settings FROM study LEFT JOIN front ON key = front.study "
            "ORDER BY front.rowid DESC NULLS LAST, study.rowid DESC LIMIT 1"
        )
        row = self._run(query).fetchone()
        return None if row is None else (row[0], json.loads(row[1]))

    def studies(self) -> dict[str, dict[str, Any]]:
        """Settings by key, oldest first."""
        rows = self._run("SELECT key, settings FROM study ORDER BY rowid")
        return {key: json.loads(settings) for key, settings in rows}

    def add_result(self, config: Config, asked: Asked, measurement: Measurement) -> None:
        """Keep what was measured; where it is known already, the first stays."""
        row = (
            *(config.hash, asked.workload, asked.place, int(measurement.rung), asked.tools, asked.seed),
            *(json.dumps(dict(measurement.quantities)), measurement.refused, measurement.seconds, _now()),
        )
        self._run("BEGIN")
        self._run("INSERT OR IGNORE INTO config VALUES (?, ?)", (config.hash, config.canonical_text))
        self._run(f"INSERT OR IGNORE INTO result VALUES ({', '.join('?' * len(row))})", row)
        self._run("COMMIT")

    def result(self, config: str, asked: Asked) -> Measurement | None:
        """What a rung said of the configuration with that hash, by the same tools; None where it was not asked."""
        row = self._run(
            "SELECT quantities, refused, seconds FROM result "
            "WHERE config = ? AND workload = ? AND place = ? AND rung = ? AND tools = ? AND seed = ?",
            (config, asked.workload, asked.place, int(asked.rung), asked.tools, asked.seed),
        ).fetchone()
        return None if row is None else Measurement(asked.rung, json.loads(row[0]), row[1], row[2])

    def results(self, asked: Asked, *, until: int | None = None) -> list[tuple[int, Config, Mapping[str, float]]]:
        """Number, configuration and quantities of all that was measured so, oldest first.

        Parameters
        ----------
        until
            The number of the last that is wanted; all by default.
        """
        rows = self._run(
            "SELECT result.rowid, text, quantities FROM result JOIN config ON config = hash WHERE refused = '' "
            "AND workload = ? AND place = ? AND rung = ? AND tools = ? AND seed = ? AND result.rowid <= ? "
            "ORDER BY result.rowid",
            (
                asked.workload,
                asked.place,
                int(asked.rung),
                asked.tools,
                asked.seed,
                1 << 62 if until is None else until,
            ),
        )
        return [(number, Config.from_toml(text), json.loads(quantities)) for number, text, quantities in rows]

    def count(self, rung: Rung) -> int:
        """Results of a rung, of all studies."""
        (found,) = self._run("SELECT count(*) FROM result WHERE rung = ?", (int(rung),)).fetchone()
        return int(found)

    def add_trial(self, study: str, trial: StoredTrial) -> None:
        """Append a trial.

        Raises
        ------
        TilewrightError
            The study has another trial of that number: what chose the points is not what chose them then.
        """
        known = self._trial(study, trial.number)
        if known is None:
            row = (study, trial.number, _text(trial.values), trial.config, trial.outcome, trial.reason)
            self._run("INSERT INTO trial VALUES (?, ?, ?, ?, ?, ?)", row)
        elif (known.values, known.config) != (trial.values, trial.config):
            raise TilewrightError(
                f"trial {trial.number} of store {self._name} must be {_text(known.values)}, not {_text(trial.values)}: "
                f"another version of the searcher made it; begin a new store"
            )

    def _trial(self, study: str, number: int) -> StoredTrial | None:
        return next(self._trials("study = ? AND number = ?", study, number), None)

    def trials(self, study: str) -> list[StoredTrial]:
        """All of a study, in order."""
        return list(self._trials("study = ?", study))

    def _trials(self, where: str, *given: object) -> Iterator[StoredTrial]:
        columns = "number, point, config, outcome, reason"
        for number, point, *rest in self._run(f"SELECT {columns} FROM trial WHERE {where} ORDER BY number", given):
            yield StoredTrial(number, json.loads(point), *rest)


def _text(values: Mapping[str, int]) -> str:
    return json.dumps(dict(values), sort_keys=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
