"""The command that reports what the hardware takes of an FPGA."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000


@pytest.mark.skipif(not SOAK, reason="synthesis takes minutes: in make soak")
def test_tiny_on_ecp5(tilewright: Callable) -> None:
    first = tilewright("area", "--config", "tiny", "--board", "ulx3s-85f", "--by", "synthesis", "--json")
    assert first.status == 0 and "Describing tiny" in first.err
    shown = json.loads(first.out)
    assert shown["family"] == "ecp5" and shown["latches"] == 0 and shown["unknown_cells"] == []
    assert shown["dsp"] >= 16 and shown["block_ram"] >= 12
    assert 5_000 < shown["lut"] < 83_640
    (board,) = shown["boards"]
    assert board["fits"] and board["name"] == "ulx3s-85f"
    places = {memory["name"]: memory["block"] for memory in shown["memories"]}
    assert places["memories.wgt.cells.r0_b0.cells"] and places["memories.acc.cells.r0_b0.cells"]
    assert not any(memory["accidental"] for memory in shown["memories"])

    again = tilewright("area", "--config", "tiny", "--by", "synthesis")
    assert again.status == 0 and "Synthesising" not in again.err
    assert "tiny on ecp5" in again.out and "orangecrab-25f" in again.out and "Latches: 0" in again.out
    assert f"{shown['lut']:,}" in again.out and "pyosys" in again.out


@pytest.mark.parametrize("family", ["ecp5", "xilinx7"])
def test_estimates(tilewright: Callable, family: str) -> None:
    shown = {}
    for way in ("formula", "elaboration"):
        ended = tilewright("area", "--config", "tiny", "--family", family, "--by", way, "--json")
        assert ended.status == 0
        shown[way] = json.loads(ended.out)
        assert shown[way]["way"] == way and shown[way]["errors"]["dsp"]["worst"] == 0
    formula, elaboration = shown["formula"], shown["elaboration"]
    assert (formula["dsp"], formula["block_ram"]) == (elaboration["dsp"], elaboration["block_ram"])
    assert abs(formula["lut"] - elaboration["lut"]) < 0.1 * elaboration["lut"]
    assert abs(formula["gates"]["flip_flops"] - elaboration["gates"]["flip_flops"]) < 2_000
    again = tilewright("area", "--config", "tiny", "--family", family)
    assert "Elaborating" not in again.err and "two-input NANDs" in again.out and "mean error" in again.out


def test_a_board_of_another_family_is_refused(tilewright: Callable) -> None:
    ended = tilewright("area", "--family", "xilinx7", "--board", "ulx3s-85f")
    assert "board ulx3s-85f must be of family ecp5, not xilinx7" in ended.complaint


def test_without_yosys(tilewright: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tilewright.fpga.synthesis._YOSYS", "a_package_that_is_not_there")
    assert "pip install 'tilewright[fpga]'" in tilewright("area", "--config", "tiny").complaint


def test_an_unknown_board_is_refused(tilewright: Callable, tmp_path: Path) -> None:
    assert "ulx3s-85f" in tilewright("area", "--board", "ulx3s").complaint
