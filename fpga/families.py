"""FPGA families as data: how Yosys maps to each, and which of its resources a mapped cell takes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

__all__ = ["FAMILIES", "Family", "Resources"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a design takes, or a part has.

    Members
    -------
    lut
        Look-up tables of the family's own size, those that hold carries or memories included.
    ff
        Flip-flops.
    dsp
        Multiplier blocks.
    block_ram
        Block memories of 18 kbit.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    block_ram: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(**{name: count + getattr(other, name) for name, count in self.items()})

    def __mul__(self, times: int) -> "Resources":
        return Resources(**{name: count * times for name, count in self.items()})

    def items(self) -> list[tuple[str, int]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One FPGA family.

    Members
    -------
    lut_inputs
        Inputs of a look-up table.
    command, options
        Yosys' synthesis pass, and its options.
    mapping
        Label in that pass at which memories are still whole and latches still visible.
    luts, look_up
        Label of that pass at which logic becomes look-up tables, the label after it, and passes that do so instead.
        None: the pass's own do.
    cells
        What one cell of the netlist takes.
    free
        Cells that take nothing of the above.
    block_memories
        How the names of memory kinds begin that are block RAM; others are made of look-up tables.
    """

    name: str
    lut_inputs: int
    command: str
    options: str
    mapping: str
    cells: Mapping[str, Resources]
    free: frozenset[str]
    block_memories: tuple[str, ...]
    luts: tuple[str, str] | None = None
    look_up: str = ""


def _luts(count: int, *cells: str) -> dict[str, Resources]:
    return dict.fromkeys(cells, Resources(lut=count))


# Three ways of mapping of which the best is kept, and wires as long as they are after routing (0.5 ns, and 0.1 a tile).
# By itself Yosys tries one, with wires of 0.3 ns, by which carries count as much as levels of tables.
_LOOK_UP_ECP5 = """\
techmap -map +/lattice/latches_map.v
scratchpad -copy abc9.script.flow3mfs abc9.script
abc9 -W 900
clean
"""

_ECP5 = Family(
    name="ecp5",
    lut_inputs=4,
    command="synth_ecp5",
    options="-latches info",
    mapping="map_ram",
    cells={
        **_luts(1, "LUT4"),
        **_luts(2, "CCU2C"),
        # Four hold the memory's 4 bits × 16; its write port takes the two beside them.
        **_luts(6, "TRELLIS_DPR16X4"),
        "TRELLIS_FF": Resources(ff=1),
        "MULT18X18D": Resources(dsp=1),
        "DP16KD": Resources(block_ram=1),
        "PDPW16KD": Resources(block_ram=1),
    },
    free=frozenset({"PFUMX", "L6MUX21", "TRELLIS_IO", "EHXPLLL", "ODDRX1F"}),
    block_memories=("DP16KD", "PDPW16KD"),
    luts=("map_luts", "map_cells"),
    look_up=_LOOK_UP_ECP5,
)

_XILINX7 = Family(
    name="xilinx7",
    lut_inputs=6,
    command="synth_xilinx",
    options="-family xc7 -flatten -noiopad -noclkbuf",
    mapping="map_memory",
    cells={
        **_luts(1, *(f"LUT{inputs}" for inputs in range(1, 7)), "SRL16E", "SRLC32E", "RAM32X1S", "RAM64X1S"),
        **_luts(2, "RAM32X1D", "RAM64X1D"),
        **_luts(4, "RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"),
        **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), Resources(ff=1)),
        "DSP48E1": Resources(dsp=1),
        "RAMB18E1": Resources(block_ram=1),
        "RAMB36E1": Resources(block_ram=2),
    },
    # An inverter becomes part of the look-up table or flip-flop that it feeds.
    free=frozenset({"CARRY4", "MUXF7", "MUXF8", "INV"}),
    block_memories=("XILINX_BLOCKRAM",),
)

FAMILIES = {family.name: family for family in (_ECP5, _XILINX7)}
