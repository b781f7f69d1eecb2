"""The wheel holds all that the repository's packages hold, and works without the repository."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DISTRIBUTION = ("pyproject.toml", "README.md", "LICENSE")
OPTIONAL = ("sklearn", "onnxruntime")

IMPORT_ALL = """
import importlib, pathlib, sys
folder, optional, names = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
sys.meta_path = [finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")]
sys.path.insert(0, folder)
for name in names:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in optional:
            raise
        continue
    assert pathlib.Path(module.__file__).is_relative_to(folder), module.__file__
import tilewright
for name in tilewright.__all__:
    getattr(tilewright, name)
from tilewright.models import DIGITS, DIGITS_TEST
assert DIGITS.is_file() and DIGITS_TEST.is_file()
"""


def package_folders() -> list[Path]:
    return sorted(entry.parent for entry in ROOT.glob("*/__init__.py") if entry.parent.name != "tests")


def package_files() -> set[str]:
    """All that lies in the packages, relative to the repository."""
    found = [*ROOT.glob("*.py"), *(path for folder in package_folders() for path in folder.rglob("*"))]
    inside = (path.relative_to(ROOT) for path in found if path.is_file())
    return {path.as_posix() for path in inside if "__pycache__" not in path.parts and not path.name.startswith(".")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no remains of an earlier build help."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*package_files(), *DISTRIBUTION):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name.removeprefix("tilewright/") for name in archive.namelist() if name.startswith("tilewright/")}
        others = {name.partition("/")[0] for name in archive.namelist()} - {"tilewright"}
    wanted = package_files()
    assert not wanted - held, "add them to packages or package-data in pyproject.toml"
    assert not held - wanted
    assert all(name.endswith(".dist-info") for name in others)


def test_every_module_imports_from_the_wheel(installed: Path) -> None:
    modules = []
    for name in sorted(package_files()):
        path = Path(name)
        if path.suffix == ".py" and path.name != "__main__.py":
            parts = ("tilewright", *path.with_suffix("").parts)
            modules.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert len(modules) > 100
    command = [sys.executable, "-I", "-c", IMPORT_ALL, str(installed), ",".join(OPTIONAL), *modules]
    done = subprocess.run(command, capture_output=True, text=True, cwd=installed)
    assert done.returncode == 0, done.stderr


def test_the_command_of_the_wheel(installed: Path) -> None:
    entry_points = next(installed.glob("*.dist-info/entry_points.txt")).read_text()
    assert "tilewright = tilewright.__main__:main" in entry_points
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "tilewright", "config", "tiny"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=installed, env=environment)
    assert done.returncode == 0 and 'name = "tiny"' in done.stdout
