"""What is known of a bitstream: what it takes, how fast it is and what bounds it, and how it was made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..config import Config
from ..errors import DeviceError
from .boards import Board
from .place_route import Routed
from .synthesis import Synthesis
from .system_config import SystemConfig

__all__ = ["BitstreamReport"]


@dataclass(frozen=True, kw_only=True)
class BitstreamReport:
    """A routed design.

    Members
    -------
    synthesis
        The netlist.
    best, attempts
        The attempt at place and route that was taken, and all of them.
    tools
        Versions of all that had a part in it.
    """

    config: Config
    system: SystemConfig
    board: Board
    synthesis: Synthesis
    best: Routed
    attempts: tuple[Routed, ...]
    tools: Mapping[str, str]

    def require_timing(self) -> None:
        """Raise DeviceError unless every clock is as fast as it must be."""
        share, clock = self.best.slowest
        if share < 1:
            fmax, path = self.best.fmax_mhz[clock], self.best.paths[clock]
            tried = ", ".join(str(attempt.seed) for attempt in self.attempts)
            raise DeviceError(
                f"clock must be at most {fmax:.1f} MHz, not {self.best.wanted_mhz[clock]:g}, for {self.config.name} on "
                f"{self.board.name} (best of seeds {tried}): from {path.begin} to {path.end} takes "
                f"{path.nanoseconds:.1f} ns; "
                "ask for less with --clock, or try more seeds with --seeds"
            )

    @property
    def resources(self) -> dict[str, tuple[int, int]]:
        """(used, left) by kind, as placed."""
        counts = {"LUT": "TRELLIS_COMB", "FF": "TRELLIS_FF", "DSP": "MULT18X18D", "EBR": "DP16KD"}
        has = dict(zip(counts, (count for _, count in self.board.has.items()), strict=True))
        used = {kind: self.best.used.get(cell, 0) for kind, cell in counts.items()}
        return {kind: (used[kind], has[kind] - used[kind]) for kind in counts}

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        best = self.best
        return {
            "config": self.config.name,
            "config_hash": self.config.hash,
            "system": asdict(self.system),
            "board": self.board.name,
            "device": self.board.device,
            "resources": {kind: {"used": used, "left": left} for kind, (used, left) in self.resources.items()},
            "clocks": {
                clock: {
                    "fmax_mhz": round(fmax, 2),
                    "wanted_mhz": best.wanted_mhz[clock],
                    "critical_path": asdict(best.paths[clock]) if clock in best.paths else None,
                }
                for clock, fmax in best.fmax_mhz.items()
            },
            "refinement": asdict(best.refinement) if best.refinement else None,
            "seed": best.seed,
            "attempts": [{"seed": a.seed, "fmax_mhz": dict(a.fmax_mhz)} for a in self.attempts],
            "latches": self.synthesis.latches,
            "memories": [asdict(memory) for memory in self.synthesis.memories],
            "tools": dict(self.tools),
        }

    def lines(self) -> list[str]:
        """The same for people."""
        board, best = self.board, self.best
        lines = [f"{self.config.name} on {board.name} ({board.device}, {board.package}, speed grade {board.speed})"]
        for kind, (used, left) in self.resources.items():
            lines.append(f"  {kind:4} {used:7,} used {left:7,} left ({used / max(used + left, 1):.0%})")
        for clock, fmax in best.fmax_mhz.items():
            lines.append(f"  clock {clock}: {fmax:.1f} MHz at most, {best.wanted_mhz[clock]:g} MHz wanted")
            if path := best.paths.get(clock):
                share = path.logic / path.nanoseconds if path.nanoseconds else 0
                lines.append(f"    critical path, {path.nanoseconds:.2f} ns, {share:.0%} of it logic:")
                lines += [f"      {name}" for name in path.through]
        if best.refinement:
            before, after = best.refinement.before, best.refinement.after
            lines.append(
                f"  placement refined: {after.mhz:.1f} MHz expected, {before.mhz:.1f} before; "
                f"{after.wire_length:,} tiles of wire, {before.wire_length:,} before"
            )
        others = ", ".join(f"{a.seed}: {100 * a.slowest[0]:.0f}%" for a in self.attempts)
        lines.append(f"  seed {best.seed} is the best of {len(self.attempts)} (share of the wanted clock: {others})")
        lines.append("  with " + ", ".join(f"{tool} {version}" for tool, version in self.tools.items()))
        return lines
