"""``compile -O``, the database, and ``tuning``."""

import json

import pytest
from tilewright.models import DIGITS


@pytest.fixture
def compiled(tilewright, tmp_path):
    def run(*words):
        return tilewright("compile", DIGITS, "--config", "tiny", "--out", tmp_path / "p.tw", *words)

    return run


def test_levels(compiled, tilewright, tmp_path):
    database = tmp_path / "tuning.sqlite"
    assert "tuned" not in compiled("-O0").out
    assert "tuned" not in compiled("-O1", "--database", database).out
    assert not database.exists()
    searched = compiled("-O2", "--database", database)
    assert searched.status == 0 and "by heuristics" in searched.out
    assert "tuning" not in searched.out
    looked_up = compiled("--database", database)
    assert looked_up.out == searched.out

    shown = tilewright("tuning", "--database", database)
    assert shown.status == 0 and "searched" in shown.out and DIGITS.name in shown.out
    (row,) = json.loads(tilewright("tuning", "--database", database, "--json").out)["networks"]
    assert row["state"] == "searched" and row["configuration"] == "tiny" and row["tuned"] <= row["heuristic"]
    assert f"{row['tuned']:,} cycles instead of {row['heuristic']:,}" in searched.out


def test_the_default_database_is_in_the_cache(compiled, tilewright, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TILEWRIGHT_CACHE", raising=False)
    assert compiled().status == 0
    shown = tilewright("tuning")
    assert (
        shown.out.split()
        == f"{tmp_path / 'tilewright' / 'tuning.sqlite'}: no network yet; compile -O2 tunes one".split()
    )


def test_mistakes(compiled, tilewright, tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("this is no database " * 100)
    assert "must be whole" in compiled("--database", broken).complaint
    assert "--database must go with -O1 to -O3" in compiled("-O0", "--database", broken).complaint
    assert "must go with --target accelerator" in compiled("-O2", "--target", "host").complaint
    assert "must exist to be shown" in tilewright("tuning", "--database", tmp_path / "none").complaint
    assert "-O" in compiled("-O7").complaint
