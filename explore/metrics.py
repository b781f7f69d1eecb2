"""What designs are judged by: metrics, objectives, and constraints."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import TilewrightError
from ..fpga.boards import Board
from .rungs import Knowledge, Rung
from .units import shown_value

__all__ = [
    "FITS",
    "METRICS",
    "RESOURCES",
    "Constraint",
    "Goal",
    "Metric",
    "fitting",
    "parse_constraint",
    "parse_objectives",
    "require_room",
]

RESOURCES = ("lut", "ff", "dsp", "block_ram")


@dataclass(frozen=True)
class Metric:
    """One number of a design.

    Members
    -------
    unit
        Of the value; "" for a count, "share" where 1 is all.
    needs
        The quantities that it is made of.
    smaller
        Whether less of it is better.
    value
        From quantities and board.
    """

    name: str
    unit: str
    needs: tuple[str, ...]
    smaller: bool
    value: Callable[[Mapping[str, float], Board], float]
    meaning: str

    def of(self, known: Knowledge, board: Board) -> float:
        return self.value(known.quantities, board)

    def rungs(self, known: Knowledge) -> tuple[Rung, ...]:
        """Where the value is from: the rungs of what it is made of, lowest first."""
        return tuple(sorted({known.rungs[name] for name in self.needs}))


def _count(name: str, meaning: str, *, smaller: bool = True, unit: str = "") -> Metric:
    return Metric(name, unit, (name,), smaller, lambda q, _: q[name], meaning)


def _area(quantities: Mapping[str, float], board: Board) -> float:
    return max(quantities[name] / float(getattr(board.has, name)) for name in RESOURCES)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "latency", "s", ("cycles", "fmax"), True, lambda q, _: q["cycles"] / q["fmax"],
            "time on the core of one inference of each model, one after the other",
        ),
        Metric(
            "throughput", "MAC/s", ("cycles", "fmax", "macs"), False, lambda q, _: q["macs"] * q["fmax"] / q["cycles"],
            "multiply-accumulates a second while the models run",
        ),
        Metric(
            "area", "share", RESOURCES, True, _area,
            "the largest of the board's resource shares; 1 is a full board",
        ),
        Metric(
            "traffic", "B", ("bytes_read", "bytes_written"), True, lambda q, _: q["bytes_read"] + q["bytes_written"],
            "bytes between DRAM and core, instructions included",
        ),
        _count("energy", "estimate of one inference of each model", unit="J"),
        _count("cycles", "of one inference of each model"),
        _count("fmax", "clock", smaller=False, unit="Hz"),
        _count("lut", "look-up tables"),
        _count("ff", "flip-flops"),
        _count("dsp", "multiplier blocks"),
        _count("block_ram", "block memories of 18 kbit"),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Goal:
    """A metric and the direction that is wanted."""

    metric: Metric
    minimise: bool

    def cost(self, known: Knowledge, board: Board) -> float:
        """Less is better, whatever the direction."""
        value = self.metric.of(known, board)
        return value if self.minimise else -value

    def __str__(self) -> str:
        return f"{'min' if self.minimise else 'max'} {self.metric.name}"


@dataclass(frozen=True)
class Constraint:
    """``metric <= limit``, or ``>=``."""

    metric: Metric
    most: bool
    limit: float

    def excess(self, known: Knowledge, board: Board) -> float:
        """By what share of the limit it is broken; 0 or less where it is kept."""
        over = self.metric.of(known, board) - self.limit
        return (over if self.most else -over) / (abs(self.limit) or 1.0)

    @property
    def bound(self) -> str:
        return f"{'<=' if self.most else '>='} {shown_value(self.limit, self.metric.unit)}"

    def __str__(self) -> str:
        return f"{self.metric.name} {self.bound}"


def require_room(constraints: Sequence[Constraint]) -> None:
    """Raise TilewrightError where two constraints leave nothing between them."""
    for least in constraints:
        for most in constraints:
            if least.metric is most.metric and most.most and not least.most and least.limit > most.limit:
                raise TilewrightError(f"constraints must leave something between them, not {least} with {most}")


def fitting(board: Board) -> tuple[Constraint, ...]:
    """What a design keeps that fits `board`.

    Of look-up tables a twentieth stays free: nextpnr packs some 4% more than Yosys counts (28,479 for 27,477, of the
    first system that was routed).
    """
    return FITS, Constraint(METRICS["lut"], most=True, limit=round(_LUTS_TO_USE * board.has.lut))


_LUTS_TO_USE = 0.95
FITS = Constraint(METRICS["area"], most=True, limit=1.0)
_CONSTRAINT = re.compile(r"\s*(\w+)\s*(<=|>=|≤|≥)\s*([0-9.]+(?:[eE][-+]?\d+)?)\s*([A-Za-zµ%/]*)\s*")
_PREFIXES = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BINARY = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_constraint(text: str) -> Constraint:
    """``"latency <= 2ms"``, ``"dsp<=60"``, ``"area<=80%"``, ``"throughput>=5GMAC/s"``.

    Raises
    ------
    TilewrightError
        It reads otherwise, or names no metric.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise TilewrightError(f"constraint must read like 'latency<=2ms' or 'dsp<=60', not {text!r}")
    name, relation, number, unit = match.groups()
    metric = _metric(name)
    return Constraint(metric, relation in ("<=", "≤"), _number(number) * _factor(unit, metric, text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TilewrightError(f"a constraint's limit must be a number, not {text!r}") from None


def _factor(unit: str, metric: Metric, text: str) -> float:
    if unit == "%" and metric.unit == "share":
        return 0.01
    if metric.unit == "B" and unit in _BINARY:
        return float(_BINARY[unit])
    bare = "" if metric.unit == "share" else metric.unit
    prefix = unit.removesuffix(bare) if bare else unit
    if prefix in _PREFIXES and (unit != "" or not bare):
        return _PREFIXES[prefix]
    known = {"share": "% or nothing", "": "none"}.get(metric.unit, f"{metric.unit}, with a prefix or without")
    raise TilewrightError(f"the unit of {metric.name} must be {known}, not {unit!r} (in {text!r})")


def parse_objectives(minimise: Sequence[str], maximise: Sequence[str] = ()) -> tuple[Goal, ...]:
    """Names of metrics, as goals.

    Raises
    ------
    TilewrightError
        There is none, one is unknown, or one is named twice.
    """
    goals = tuple(
        Goal(_metric(name), which) for names, which in ((minimise, True), (maximise, False)) for name in names
    )
    names = [goal.metric.name for goal in goals]
    if not goals:
        raise TilewrightError(f"the search must have an objective, one or more of {', '.join(METRICS)}")
    for name in names:
        if names.count(name) > 1:
            raise TilewrightError(f"objective {name} must be given once, not {names.count(name)} times")
    return goals


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise TilewrightError(f"a metric must be one of {', '.join(METRICS)}, not {name!r}")
    return METRICS[name]
