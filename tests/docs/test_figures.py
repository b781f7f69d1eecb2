"""Figures of README and guide about the digits network: examples are compared with numbers masked, these are not."""

import re
from pathlib import Path

import tilewright as tw
from tilewright.models import DIGITS
from tilewright.simulator.timing import time_program

ROOT = Path(__file__).parents[2]
README, GUIDE = ((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/guide.md"))


def test_digits():
    program = tw.compile_model(DIGITS, tw.load_config("vta-16"))
    cycles = sum(run.timing.cycles for run in time_program(program))
    totals = re.findall(r"^ total +395,520 +([\d,]+) ", GUIDE, re.MULTILINE)
    assert totals and set(totals) == {f"{cycles:,}"}
    assert re.findall(r'"cycles": (\d+)', GUIDE) == [str(cycles)]
    for page in (README, GUIDE):
        counts = re.findall(r"^digits\.tw:.*?(\d+) instructions", page, re.MULTILINE)
        assert counts and set(counts) == {str(len(program.instructions))}
