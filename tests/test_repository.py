"""What is written down: links lead somewhere, and nothing names the machine that it was written on."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
# In pieces, so that this file does not name them.
FOLDERS = "|".join(("work", "root", "home", "tmp", "Users"))
MACHINE_PATH = re.compile(rf"(?<![\w./~$}}])/(?:{FOLDERS})(?:/|\b)")
HOSTS = ["\\.".join(pair) for pair in (("pypi", "org"), ("pythonhosted", "org"), ("crates", "io"), ("npmjs", "org"))]
MODELS = (".onnx", ".tflite")
REGISTRY = re.compile(r"(?<![\w-])(?:{})\b".format("|".join(HOSTS)))


def tracked() -> list[Path]:
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@cache
def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.*?) *#*$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), f"{target} does not exist"
        assert linked.resolve().is_relative_to(ROOT), f"{target} is outside the repository"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{target}: no such heading"


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["paths", "registries"])
def test_nothing_of_this_machine(pattern: re.Pattern[str]) -> None:
    found = []
    for path in tracked():
        if path.suffix in MODELS or b"\0" in (data := path.read_bytes()):
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), start=1):
            if match := pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert not found
