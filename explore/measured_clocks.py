"""Clocks of whole systems that were placed, or placed and routed: the data behind the clock's estimate.

They are in ``measured_clocks.json`` beside this module, oldest first; of a configuration on a board the latest counts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..config import Config
from ..errors import TilewrightError
from ..files import write_file
from ..fpga.boards import BOARDS

__all__ = ["ClockSample", "add_samples", "read_samples"]

_FILE = Path(__file__).with_name("measured_clocks.json")


@dataclass(frozen=True, kw_only=True)
class ClockSample:
    """The clock of one system.

    Members
    -------
    placed_mhz, routed_mhz
        nextpnr's estimate after placing, and the clock after routing; 0 where it has not come so far.
    tools
        Versions, by package.
    hardware
        Digest of the sources that describe the hardware; "" where nobody has noted it.
    remark
        What else one must know of it.
    """

    config: Config
    board: str
    placed_mhz: float = 0.0
    routed_mhz: float = 0.0
    tools: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""
    date: str = ""
    remark: str = ""

    def __post_init__(self) -> None:
        if self.board not in BOARDS:
            raise TilewrightError(f"the clock's board must be one of {', '.join(BOARDS)}, not {self.board}")
        if not max(self.placed_mhz, self.routed_mhz) > 0:
            raise TilewrightError(f"the clock of {self.config.name} must be known as placed or as routed, in MHz")

    def to_json(self) -> dict[str, Any]:
        default = Config()
        differing = {
            each.name: getattr(self.config, each.name)
            for each in fields(Config)
            if getattr(self.config, each.name) != getattr(default, each.name)
        }
        return asdict(self) | {"config": differing}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ClockSample":
        return cls(**{**values, "config": Config(**values["config"])})


def read_samples(path: Path = _FILE) -> list[ClockSample]:
    """Oldest first."""
    return [ClockSample.from_json(values) for values in json.loads(path.read_text(encoding="utf-8"))]


def add_samples(found: Iterable[ClockSample], path: Path = _FILE) -> list[ClockSample]:
    """Append to the file what it has not; that."""
    known = read_samples(path)
    fresh = [sample for sample in found if sample not in known]
    lines = ",\n ".join(json.dumps(sample.to_json()) for sample in [*known, *fresh])
    write_file(path, f"[{lines}]\n".encode(), "table of clocks", error=TilewrightError)
    return fresh
