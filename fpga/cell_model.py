"""A netlist's cell, and what models of cells are written with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import DeviceError

__all__ = ["ONE", "ZERO", "Cell", "edge", "guarded", "inverted", "joined", "require_blank", "unless_reset"]

ZERO, ONE = "1'b0", "1'b1"


@dataclass(frozen=True)
class Cell:
    """One cell of a netlist.

    Members
    -------
    name
        A Verilog name that no other cell has.
    kind
        As in the netlist.
    parameters
        As Yosys writes them: words as they are, numbers in binary.
    pins
        Wires, lowest first, or constants; outputs that nothing uses may be missing.
    """

    name: str
    kind: str
    parameters: Mapping[str, str]
    pins: Mapping[str, Sequence[str]]

    def word(self, parameter: str, *allowed: str) -> str:
        """A parameter, the first of `allowed` where it is not given; DeviceError unless it is one of them."""
        value = self.parameters.get(parameter, allowed[0]).strip()
        if value not in allowed:
            raise DeviceError(
                f"cell {self.kind} must have {parameter} {' or '.join(allowed)} to be simulated, not {value}"
            )
        return value

    def number(self, parameter: str, default: int = 0) -> int:
        """A parameter in binary; undefined bits are 0."""
        text = self.parameters.get(parameter)
        return default if text is None else int(text.replace("x", "0"), 2)

    def pin(self, name: str) -> str:
        """The wire of a pin of one bit; 0 where it has none."""
        return next(iter(self.pins.get(name, ())), ZERO)

    def bus(self, name: str, width: int) -> list[str]:
        """Wires of the pins `name` 0 and up, lowest first."""
        return [self.pin(f"{name}{k}") for k in range(width)]

    def output(self, name: str) -> str | None:
        """The wire that an output of one bit drives; None where nothing uses it."""
        return next(iter(self.pins.get(name, ())), None)

    def drive(self, name: str, source: str) -> Iterator[str]:
        """Let an output of one bit be `source`."""
        if wire := self.output(name):
            yield f"assign {wire} = {source};"


def edge(clock: str) -> str:
    return f"always @(posedge {clock})"


def guarded(condition: str, action: str) -> str:
    return action if condition == ONE else f"if ({condition}) {action}"


def inverted(wire: str) -> str:
    return {ZERO: ONE, ONE: ZERO}.get(wire, f"~{wire}")


def unless_reset(reset: str, cleared: str, taken: str) -> str:
    """What happens at an edge: `cleared` under `reset`, else `taken`."""
    return taken if reset == ZERO else f"if ({reset}) {cleared} else {taken}"


def joined(wires: Sequence[str]) -> str:
    return "{" + ", ".join(reversed(wires)) + "}"


def require_blank(cell: Cell) -> None:
    for name in cell.parameters:
        if name.startswith("INITVAL") and cell.number(name):
            raise DeviceError(f"cell {cell.kind} must start without contents to be simulated, and {name} gives some")
