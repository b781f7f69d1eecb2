"""The tuning database: what is written stays, whoever else writes, and what is no such file is refused."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from tilewright.compiler.schedule.conv_tiling import ConvTiling
from tilewright.compiler.schedule.decision import Schedule
from tilewright.compiler.schedule.depthwise_choice import DepthwiseTiling
from tilewright.compiler.schedule.window_tiling import WindowTiling
from tilewright.compiler.tuning import DatabaseError, NetworkEntry, TuningDatabase
from tilewright.compiler.tuning.database import Key, OperatorEntry

KEY = Key("c0ffee", "1 timing")
CONV = ConvTiling(4, 5, 1, 2, True)
DEPTHWISE = DepthwiseTiling(1, 9, 5, 2, 0)
OPERATOR = OperatorEntry((CONV, DEPTHWISE, WindowTiling(1, 2, 3)), 120, 100, 17)
NETWORK = NetworkEntry("net", "vta-16", Schedule({"a": (CONV,), "b": (DEPTHWISE,)}, frozenset("x")), 900, 800, 0)


def test_what_is_put_is_found_again(tmp_path):
    path = tmp_path / "new" / "tuning.sqlite"
    with TuningDatabase(path) as database:
        assert not database.filled
        database.put_operator("conv", KEY, OPERATOR)
        database.put_network("net", KEY, NETWORK)
    with TuningDatabase(path, create=False) as database:
        assert database.filled
        assert database.operator("conv", KEY) == OPERATOR
        assert database.network("net", KEY) == replace(NETWORK, versions=KEY.versions)
        assert database.networks() == [replace(NETWORK, versions=KEY.versions)]
        assert database.layers() == 1
        for other in (Key("decade", KEY.versions), Key(KEY.hardware, "2 timing")):
            assert database.operator("conv", other) is None
            assert database.network("net", other) is None


def test_the_better_one_stays(tmp_path):
    with TuningDatabase(tmp_path / "t") as database:
        database.put_network("net", KEY, NETWORK)
        database.put_network("net", KEY, replace(NETWORK, cycles=850, searched=1))
        assert database.networks()[0].cycles == 800
        database.put_network("net", KEY, replace(NETWORK, searched=1))
        assert database.networks()[0].searched == 1
        database.put_network("net", KEY, replace(NETWORK, cycles=700))
        assert (database.networks()[0].cycles, database.networks()[0].searched) == (700, 0)


def test_a_missing_file_is_empty_and_stays_missing(tmp_path):
    with TuningDatabase(tmp_path / "none", create=False) as database:
        assert database.networks() == [] and database.operator("conv", KEY) is None and not database.filled
    assert not (tmp_path / "none").exists()


def test_what_was_under_way_is_lost_alone(tmp_path):
    """A process that dies in the middle of a transaction leaves all earlier ones."""
    with TuningDatabase(tmp_path / "t") as database:
        database.put_operator("first", KEY, OPERATOR)
        connection = sqlite3.connect(tmp_path / "t", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM operators")
        connection.close()
        assert database.operator("first", KEY) == OPERATOR


WRITER = """
import sys
from pathlib import Path
from tilewright.compiler.schedule.decision import Schedule
from tilewright.compiler.schedule.window_tiling import WindowTiling
from tilewright.compiler.tuning import NetworkEntry, TuningDatabase
from tilewright.compiler.tuning.database import Key, OperatorEntry

key = Key("c0ffee", "1 timing")
with TuningDatabase(Path(sys.argv[1])) as database:
    for number in range(50):
        database.put_operator(f"{sys.argv[2]} {number}", key, OperatorEntry((WindowTiling(1, 2, 3),), 120, 100, 17))
        database.put_network("shared", key, NetworkEntry("net", "vta-16", Schedule(), 900, 800 - number, False))
"""


def test_two_processes_at_once(tmp_path):
    path = tmp_path / "t"
    others = [subprocess.Popen([sys.executable, "-c", WRITER, path, name]) for name in ("a", "b")]
    assert [other.wait(300) for other in others] == [0, 0]
    with TuningDatabase(path) as database:
        assert database.layers() == 100
        assert [entry.cycles for entry in database.networks()] == [751]


def foreign(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE addresses (street TEXT)")
    connection.commit()
    connection.close()


def of_the_future(path):
    TuningDatabase(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def damaged(path):
    with TuningDatabase(path) as database:
        database.put_network("net", KEY, NETWORK)
    raw = bytearray(path.read_bytes())
    raw[4096:] = b"\x55" * (len(raw) - 4096)
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: path.write_text("not a database at all, but long enough for one" * 50), "must be whole"),
        (foreign, "must be tilewright's, but is another program's"),
        (of_the_future, "must be of format 2, not 99"),
        (damaged, "must be whole"),
        (lambda path: path.mkdir(), "must be readable and writable"),
    ],
)
def test_other_files_are_refused(tmp_path, spoil, complaint):
    path = tmp_path / "t"
    spoil(path)
    with pytest.raises(DatabaseError, match=complaint), TuningDatabase(path) as database:
        database.networks()


@pytest.mark.parametrize("text", ["{", "[]", '{"layers": {}}', '{"layers": {"a": [{"kind": "lucky"}]}, "leaving": []}'])
def test_entries_that_mean_nothing_are_refused(tmp_path, text):
    with TuningDatabase(tmp_path / "t") as database:
        database.put_network("net", KEY, NETWORK)
        connection = sqlite3.connect(tmp_path / "t")
        connection.execute("UPDATE networks SET schedule = ?", (text,))
        connection.commit()
        connection.close()
        with pytest.raises(DatabaseError, match="must be whole"):
            database.network("net", KEY)
