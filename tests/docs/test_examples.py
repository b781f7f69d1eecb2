"""Commands and code in README.md and pages of docs do what they say.

A block after ``<!-- tested -->`` is run; after ``<!-- tested: NAME -->`` it is the content of file NAME. In a console's
output ``...`` stands for anything, a number for any number, and a space for any spaces: how many instructions a model
takes may change.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tilewright.models import DIGITS_TEST

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"<!-- tested(?:: (?P<file>\S+))? -->\n```(?P<kind>\w+)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"\b[0-9a-f]{16}\b|\d[\d,]*")
USER_ERROR = 2


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/guide.md", "docs/quantisation.md", "docs/timing.md", "docs/debugging.md", "docs/tuning.md"],
)
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models").symlink_to(ROOT / "models")
    np.savez("digit.npz", image=np.load(DIGITS_TEST)["images"][:1])
    names: dict[str, Any] = {}
    blocks = list(BLOCK.finditer((ROOT / page).read_text(encoding="utf-8")))
    assert blocks
    for block in blocks:
        if block["file"]:
            Path(block["file"]).write_text(block["content"], encoding="utf-8")
        elif block["kind"] == "python":
            exec(compile(block["content"], page, "exec"), names)
        else:
            run_console(block["content"])


def run_console(content: str) -> None:
    for part in content.split("$ ")[1:]:
        command, _, expected = part.partition("\n")
        words = command.split()
        assert words[0] == "tilewright"
        done = subprocess.run(
            [sys.executable, "-m", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
        )
        status = USER_ERROR if expected.startswith("tilewright: ") else 0
        assert done.returncode == status, done.stdout
        printed = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
        assert re.fullmatch(pattern(expected), printed), f"{command} printed\n{printed}"


def pattern(expected: str) -> str:
    lines = []
    for line in expected.splitlines():
        if line == "...":
            lines.append(r"(?:.*\n)*?")
            continue
        escaped = re.escape(line).replace(re.escape("..."), ".*")
        masked = NUMBER.sub(lambda match: r"[0-9a-f]{16}" if len(match[0]) == 16 else r"[\d,]+", escaped)
        lines.append(re.sub(r"(?:\\ )+", " +", masked) + r"\n")
    return "".join(lines)
