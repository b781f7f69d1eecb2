"""Folders import only what docs/architecture.md says that they may."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLIC = {"__init__", "__main__"}
NOT_PACKAGES = {"tests", "docs", "build", "dist"}


def stated() -> dict[str, set[str]]:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("<!-- imports -->\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()[2:]]
    return {re.findall(r"`(\w+)`", part)[0]: set(re.findall(r"`(\w+)`", allowed)) for part, allowed in rows}


def sources(part: str) -> Iterator[Path]:
    folder = ROOT / part
    yield from folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]


def imported(path: Path) -> Iterator[str]:
    """Top-level parts of the package that a module imports, itself included."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("tilewright") for alias in node.names), f"{path}: import relatively"
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert not (node.module or "").startswith("tilewright"), f"{path}: import relatively"
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            for name in node.names:
                yield next(part for part in (*base, name.name) if part)


@pytest.mark.parametrize("part", stated())
def test_arrows(part: str) -> None:
    for path in sources(part):
        outside = set(imported(path)) - {part}
        assert outside <= stated()[part], f"{path.relative_to(ROOT)} may not import {outside - stated()[part]}"


def test_every_part_is_stated() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_PACKAGES
    files = {path.stem for path in ROOT.glob("*.py")} - PUBLIC
    assert stated().keys() == folders | files
