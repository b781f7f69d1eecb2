"""Waveforms of the core: they are written, they can be read, and writing them changes nothing."""

import os
import re
from itertools import count
from pathlib import Path

import pytest
from tilewright.config import load_config
from tilewright.isa.launch import Launch, Outcome
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import Engine
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.dram import Dram
from tilewright.simulator.oracle import OracleSimulator

SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000
CONFIG = load_config("tiny")
PROGRAMS = (random_program(CONFIG, seed, size=10, points=40) for seed in count())
PROGRAM = next(program for program in PROGRAMS if {each.engine for each in program.instructions} >= set(Engine))


def zlib_header() -> bool:
    folders = [Path(folder) for folder in ("/usr/include", "/usr/local/include")]
    return any((folder / "zlib.h").exists() for folder in folders)


@pytest.fixture
def oracle() -> OracleSimulator:
    return OracleSimulator(CONFIG, dram=Dram(size=COMPARISON_DRAM_BYTES))


class Noting(CycleSimulator):
    """Keeps how its last run ended."""

    def __init__(self, waveform: Path | None = None) -> None:
        super().__init__(CONFIG, dram=Dram(size=COMPARISON_DRAM_BYTES), stalls=3, waveform=waveform)
        self.outcome = Outcome()

    def run(self, launch: Launch) -> Outcome:
        self.outcome = super().run(launch)
        return self.outcome


@pytest.fixture
def plain() -> Outcome:
    """The same run without a waveform."""
    with Noting() as simulator:
        assert compare(PROGRAM, [simulator]) == []
        return simulator.outcome


def write(path: Path, oracle: OracleSimulator) -> Outcome:
    """A run with its waveform in `path`, after which every memory is as the oracle has it."""
    with Noting(path) as simulator:
        assert compare(PROGRAM, [oracle, simulator]) == []
        return simulator.outcome


def test_vcd(tmp_path, oracle, plain):
    path = tmp_path / "core.vcd"
    assert write(path, oracle) == plain
    header, changes = path.read_text(encoding="ascii").split("$enddefinitions $end")
    assert re.search(r"\$timescale\s+\S+\s*\w*\s+\$end", header)
    names = {match[2] for match in re.finditer(r"\$var\s+\w+\s+(\d+)\s+\S+\s+(\S+)", header)}
    assert {"clk", "rst", "irq", "m_axi__awvalid", "s_axi__arready"} <= names
    scopes = re.findall(r"\$scope module (\S+)", header)
    assert header.count("$upscope") == len(re.findall(r"\$scope", header))
    assert any("gemm" in scope for scope in scopes)
    times = [int(line[1:]) for line in changes.splitlines() if line.startswith("#")]
    assert times == sorted(times)
    assert len(times) > plain.counters["cycles"] > 0


@pytest.mark.skipif(not SOAK, reason="a build of half a minute; small models write FST in test_cycle_harness.py")
@pytest.mark.skipif(not zlib_header(), reason="FST needs zlib.h: apt-get install zlib1g-dev")
def test_fst(tmp_path, oracle, plain):
    path = tmp_path / "core.fst"
    assert write(path, oracle) == plain
    content = path.read_bytes()
    assert content[0] == 0, "an FST file begins with its header block"
    assert int.from_bytes(content[1:9], "big") == 329, "which has always this length"
    assert len(content) > 2000


def test_only_a_window(tmp_path, oracle, plain):
    """Of 100 cycles from cycle 50 on, and results as without it."""
    path = tmp_path / "window.vcd"
    dram = Dram(size=COMPARISON_DRAM_BYTES)
    with CycleSimulator(CONFIG, dram=dram, stalls=3, waveform=path, window=(50, 150)) as simulator:
        assert compare(PROGRAM, [oracle, simulator]) == []
        assert simulator.counters == plain.counters
    times = [int(line[1:]) for line in path.read_text().splitlines() if line.startswith("#")]
    assert times and 190 <= times[-1] - times[0] < 200  # two times a cycle
