"""What a design consists of before it is mapped to cells: the quantities from which its area is estimated."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

__all__ = ["LOGIC", "Inventory", "MemoryUse", "Multipliers"]


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """Memories of one kind.

    Members
    -------
    words, bits, read_ports
        Of each.
    granule
        Bits that are written together; `bits` where there is one write enable for all.
    count
        How many there are.
    """

    words: int
    bits: int
    read_ports: int
    granule: int
    count: int = 1

    @property
    def total_bits(self) -> int:
        return self.words * self.bits * self.count


@dataclass(frozen=True, kw_only=True)
class Multipliers:
    """`count` multipliers of `left` × `right` bits."""

    left: int
    right: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """A design's operators, in bits of their results.

    Members
    -------
    flip_flops
        Register bits outside memories.
    adders
        Additions, subtractions and comparisons of size.
    multiplexers
        Two-way choices, several-way ones counted by their ways.
    comparisons
        Tests for equality and for zero, in bits compared.
    gates
        Bitwise logic.
    shifters
        Shifts by a variable amount, times the bits of the amount.
    """

    flip_flops: float
    adders: float
    multiplexers: float
    comparisons: float
    gates: float
    shifters: float
    multipliers: tuple[Multipliers, ...]
    memories: tuple[MemoryUse, ...]

    @property
    def memory_bits(self) -> dict[int, int]:
        """Bits of memory by the number of read ports; all have one write port."""
        found: dict[int, int] = {}
        for memory in self.memories:
            found[memory.read_ports] = found.get(memory.read_ports, 0) + memory.total_bits
        return found

    def quantities(self, names: Iterable[str]) -> list[float]:
        """The members `names`, in order."""
        return [float(getattr(self, name)) for name in names]


LOGIC = tuple(field.name for field in fields(Inventory) if field.name not in ("multipliers", "memories"))
