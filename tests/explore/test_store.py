"""The store: nothing is lost, nothing changes, one process writes."""

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tilewright.config import load_config
from tilewright.errors import TilewrightError
from tilewright.explore import tools
from tilewright.explore.rungs import Measurement, Rung
from tilewright.explore.store import Asked, Store, StoredTrial

CONFIG = load_config("tiny")
MEASURED = Measurement(Rung.TIMING, {"cycles": 123.0, "energy": 1.5e-6}, seconds=0.25)
ASKED = Asked(Rung.TIMING, "models", "ecp5", "{}")
TRIAL = StoredTrial(0, {"rows": 1}, CONFIG.hash, "evaluated", "")


def fill(store: Store) -> None:
    store.add_study("study", {"board": "ulx3s-85f"})
    store.add_result(CONFIG, ASKED, MEASURED)
    store.add_trial("study", TRIAL)


def test_what_is_put_in_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "explore.db"
    with Store(path) as store:
        fill(store)
    with Store(path, writes=False) as store:
        assert store.result(CONFIG.hash, ASKED) == MEASURED
        assert store.result(CONFIG.hash, replace(ASKED, tools='{"numpy": "3"}')) is None
        assert store.result(CONFIG.hash, replace(ASKED, seed=1)) is None
        ((number, config, quantities),) = store.results(ASKED)
        assert config.hash == CONFIG.hash and quantities == MEASURED.quantities
        assert store.results(ASKED, until=number - 1) == []
        assert store.studies() == {"study": {"board": "ulx3s-85f"}} and store.trials("study") == [TRIAL]
        assert (store.count(Rung.TIMING), store.count(Rung.RTL)) == (1, 0)


def test_nothing_is_changed_or_deleted(tmp_path: Path) -> None:
    path = tmp_path / "explore.db"
    with Store(path) as store:
        fill(store)
        store.add_result(CONFIG, ASKED, Measurement(Rung.TIMING, {"cycles": 1.0}))
        assert store.result(CONFIG.hash, ASKED) == MEASURED
        with pytest.raises(TilewrightError, match=r"^trial 0 of store .* must be .*\"rows\": 1.*, not .*\"rows\": 2"):
            store.add_trial("study", StoredTrial(0, {"rows": 2}, CONFIG.hash, "evaluated", ""))
    database = sqlite3.connect(path)
    for table in ("config", "study", "result", "trial"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(f"DELETE FROM {table}")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        database.execute("UPDATE result SET quantities = '{}'")
    database.close()


def test_one_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "explore.db"
    with Store(path) as store:
        fill(store)
        with pytest.raises(TilewrightError, match=r"explore\.db must have one writer"):
            Store(path)
        with Store(path, writes=False) as reader:
            assert reader.trials("study") == [TRIAL]
    Store(path).close()


def test_a_killed_writer_leaves_what_it_had_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "explore.db"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from tilewright.config import load_config\n"
        "from tilewright.explore.rungs import Measurement, Rung\n"
        "from tilewright.explore.store import Asked, Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "measured = Measurement(Rung.TIMING, {'cycles': 123.0, 'energy': 1.5e-6}, seconds=0.25)\n"
        "store.add_result(load_config('tiny'), Asked(Rung.TIMING, 'models', 'ecp5', '{}'), measured)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True)
    assert done.returncode == -9
    with Store(path) as store:
        assert store.result(CONFIG.hash, ASKED) == MEASURED


def test_files_that_are_no_store(tmp_path: Path) -> None:
    text, other = tmp_path / "text.db", tmp_path / "other.db"
    text.write_text("not a database, and longer than the header of one, which has a hundred bytes or so" * 3)
    with pytest.raises(TilewrightError, match=r"text\.db must be a readable SQLite file"):
        Store(text)
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE mine (x)")
    database.commit()
    database.close()
    with pytest.raises(TilewrightError, match=r"other\.db must be a readable SQLite file: its version is 0, not 3"):
        Store(other)
    with pytest.raises(TilewrightError, match=r"none\.db does not exist: search first"):
        Store(tmp_path / "none.db", writes=False)
    with pytest.raises(TilewrightError, match=r"store .* must be writable, but folder"):
        Store(tmp_path / "no" / "folder.db")


def test_the_study_that_was_reported_last(tmp_path: Path) -> None:
    with Store(tmp_path / "explore.db") as store:
        assert store.last_study() is None and store.front_rungs("first") == []
        store.add_study("first", {"a": 1})
        store.add_study("second", {"a": 2})
        assert store.last_study() == ("second", {"a": 2})
        store.add_front("second", [3])
        store.add_front("first", [3, 4, 5])
        store.add_front("first", [3])
        assert store.last_study() == ("first", {"a": 1})
        assert store.front_rungs("first") == [3] == store.front_rungs("second")


@pytest.mark.parametrize("rung", list(Rung))
def test_results_depend_on_sources_that_exist(rung: Rung) -> None:
    folder = Path(tools.__file__).parents[1]
    assert all(any(folder.glob(pattern)) for pattern in tools._SOURCES[rung]), "a source has moved"
