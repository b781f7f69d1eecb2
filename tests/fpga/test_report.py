"""Which boards a design fits, from made-up figures."""

import json

from tilewright.config import load_config
from tilewright.fpga.boards import BOARDS
from tilewright.fpga.families import FAMILIES, Resources
from tilewright.fpga.report import AreaReport
from tilewright.fpga.synthesis import PlacedMemory, Synthesis

MEMORIES = (
    PlacedMemory(name="queue", words=4, word_bits=90, read_ports=1, cell="TRELLIS_DPR16X4", block=False),
    PlacedMemory(name="weights", words=1024, word_bits=90, read_ports=1, cell="flip-flops", block=False),
)


def report(**takes: int) -> AreaReport:
    found = Synthesis(takes=Resources(**takes), latches=0, memories=MEMORIES, cells={"LUT4": 1}, unknown=())
    boards = [BOARDS["ulx3s-85f"], BOARDS["orangecrab-25f"]]
    return AreaReport(
        config=load_config("tiny"), family=FAMILIES["ecp5"], way="synthesis", takes=found.takes, boards=boards,
        synthesis=found,
    )  # fmt: skip


def test_what_exceeds_what() -> None:
    large, small = report(lut=24_288, ff=100, dsp=29, block_ram=57).fits
    assert large.exceeds == []
    assert small.exceeds == ["dsp", "block_ram"] and small.shares["lut"] == 1


def test_as_data() -> None:
    shown = json.loads(json.dumps(report(lut=10, dsp=200).to_json()))
    assert (shown["config"], shown["family"], shown["lut"], shown["dsp"]) == ("tiny", "ecp5", 10, 200)
    assert [memory["accidental"] for memory in shown["memories"]] == [False, True]
    assert [(board["name"], board["fits"], board["exceeds"]) for board in shown["boards"]] == [
        ("ulx3s-85f", False, ["dsp"]),
        ("orangecrab-25f", False, ["dsp"]),
    ]
    assert shown["tools"]["pyosys"] and shown["tools"]["amaranth"]
