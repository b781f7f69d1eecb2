"""Which part may import which: docs/architecture.md's arrows, kept."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = {"cache", "config", "errors", "files", "toolchain"}
MAY_IMPORT = {
    "errors": set(),
    "config": {"errors"},
    "files": {"errors"},
    "cache": {"errors"},
    "toolchain": {"errors"},
    "isa": BASE,
    "hw": BASE | {"isa"},
    "simulator": BASE | {"isa"},
    "driver": BASE | {"isa"},
    "compiler": BASE | {"isa"},
    "fpga": BASE | {"isa", "hw", "driver", "simulator"},
    "models": BASE | {"compiler"},
    "explore": BASE | {"isa", "hw", "compiler", "simulator", "driver", "fpga"},
}
EXCEPTIONS = {
    ("simulator/cycle/core.py", "hw.verilog"),  # it simulates the hardware's own Verilog
    ("simulator/cycle/twins.py", "hw.cells"),  # its stand-ins have the ports of what they stand in for
    ("simulator/cycle/twins.py", "hw.multiply"),
    ("simulator/cycle/twins.py", "hw.onchip"),
    ("simulator/cycle/twins.py", "hw.signatures"),
    ("simulator/cycle/twins.py", "hw.table"),
    ("simulator/cycle/twins.py", "hw.vector_datapath"),
    ("simulator/cycle/device.py", "driver.registers"),  # the RTL is operated through its register page, as a board is
}
HEAVY = {
    "amaranth": ("hw", "fpga", "simulator/cycle/twins.py"),
    "serial": ("driver/board.py",),
    "onnx": ("compiler/frontend", "compiler/compile.py", "compiler/compile_host.py", "compiler/quantise", "models"),
    "tflite": ("compiler/frontend",),
    "llvmlite": ("compiler/host", "compiler/te", "driver/host_jit.py"),
    "click": ("cli", "fpga/calibrate.py", "explore/calibrate.py"),  # the last two are commands for developers
    "rich": ("cli",),
    "optuna": ("explore/searchers.py",),
    "lightgbm": ("explore/correction.py",),
    "distributed": ("explore/cluster.py",),
    "matplotlib": ("cli/roofline.py", "explore/pictures.py"),
}


def sources(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py")) if (ROOT / part).is_dir() else [ROOT / f"{part}.py"]


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Names of modules, and of what is taken from them, below the package; others begin with an empty name."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield foreign_or_own(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                if node.level:
                    yield (*package[: len(package) + 1 - node.level], *module, alias.name)
                else:
                    yield foreign_or_own([*module, alias.name])


def foreign_or_own(names: list[str]) -> tuple[str, ...]:
    return tuple(names[1:]) if names[0] == "tilewright" else ("", *names)


def test_every_part_has_its_rule() -> None:
    parts = {path.stem for path in ROOT.glob("*.py")} | {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert parts - {"__init__", "__main__", "cli"} == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_arrows(part: str) -> None:
    wrong = []
    for path in sources(part):
        name = path.relative_to(ROOT).as_posix()
        for target in imported(path):
            known = target[0] in ("", part, *MAY_IMPORT[part])
            if not known and not any((name, ".".join(target[:count])) in EXCEPTIONS for count in range(1, 4)):
                wrong.append(f"{name} imports {'.'.join(target)}")
    assert not wrong


@pytest.mark.parametrize("library", HEAVY)
def test_heavy_libraries_stay_where_they_are_needed(library: str) -> None:
    homes = HEAVY[library]
    for path in [path for part in (*MAY_IMPORT, "cli") for path in sources(part)]:
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(homes):
            assert all(target[:2] != ("", library) for target in imported(path)), f"{name} imports {library}"
