"""The documentation builds without warnings, and names only files that exist."""

import importlib.util
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
PLACES = re.compile(r"`([\w./*-]+(?:/|\.(?:py|c|h|md|toml|cpp|hpp|yml)))`")
NOT_OURS = {"build", "dist"}


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs mkdocs: pip install 'tilewright[docs]'")
def test_builds_without_warnings(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    for page in PAGES:
        assert (tmp_path / "site" / page.name).with_suffix(".html").exists() or page.name == "README.md"


@pytest.fixture(scope="module")
def places() -> set[str]:
    """Files and folders (with a slash at the end) of the repository, relative to its root."""
    found = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith((".", "__")) and name not in NOT_OURS]
        base = Path(folder).relative_to(ROOT)
        found |= {f"/{base / name}" for name in files} | {f"/{base / name}/" for name in folders}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path, places: set[str]) -> None:
    named = set(PLACES.findall(page.read_text(encoding="utf-8")))
    missing = {name for name in named if not any(fnmatch(place, f"*/{name}") for place in places)}
    assert not missing
