"""What each of an ECP5's cells does, as Verilog over single wires: a netlist that simulates quickly.

Look-up tables, carries, multiplexers, flip-flops and memories of look-up tables are as Yosys' models of them (a test
compares them); block RAM and multipliers, which have none there, as Lattice's sysMEM and sysDSP guides describe them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..errors import DeviceError
from .cell_model import ONE, ZERO, Cell, edge, guarded, inverted, joined, require_blank, unless_reset
from .ecp5_block_ram import block_rams, shared_block_rams
from .truth_table import table_expression

__all__ = ["MODELS"]

_MEMORIES_TOGETHER = 8  # their words fill 32 bits


def _tables(cells: Iterable[Cell]) -> Iterator[str]:
    for cell in cells:
        yield from cell.drive("Z", table_expression(cell.number("INIT"), [cell.pin(name) for name in "ABCD"]))


def _multiplexers(cells: Iterable[Cell]) -> Iterator[str]:
    for cell in cells:
        select, high, low = ("C0", "ALUT", "BLUT") if cell.kind == "PFUMX" else ("SD", "D1", "D0")
        yield from cell.drive("Z", f"{cell.pin(select)} ? {cell.pin(high)} : {cell.pin(low)}")


def _carries(cells: Iterable[Cell]) -> Iterator[str]:
    """Two bits of a carry chain: a table of four inputs propagates, the first four rows of it generate."""
    for cell in cells:
        carry = cell.pin("CIN")
        for half in (0, 1):
            inject = cell.word(f"INJECT1_{half}", "YES", "NO") == "YES"
            table = cell.number(f"INIT{half}")
            inputs = [cell.pin(f"{name}{half}") for name in "ABCD"]
            propagate, generate = f"{cell.name}_p{half}", f"{cell.name}_g{half}"
            yield f"wire {propagate} = {table_expression(table, inputs)};"
            yield f"wire {generate} = {ZERO if inject else table_expression(table & 15, inputs[:2])};"
            yield from cell.drive(f"S{half}", propagate if inject else f"{propagate} ^ {carry}")
            yield f"wire {cell.name}_c{half} = {propagate} ? {carry} : {generate};"
            carry = f"{cell.name}_c{half}"
        yield from cell.drive("COUT", carry)


def _flip_flops(cells: Iterable[Cell]) -> Iterator[str]:
    """Those with clock, reset and enable alike go together: one decision for all."""
    groups = defaultdict(list)
    for cell in cells:
        cell.word("CLKMUX", "CLK")
        cell.word("SRMODE", "LSR_OVER_CE")
        cell.word("LSRMODE", "LSR")
        reset, enable = cell.pin("LSR"), cell.pin("CE")
        if cell.word("LSRMUX", "LSR", "INV") == "INV":
            reset = inverted(reset)
        enable = {"1": ONE, "0": ZERO, "CE": enable, "INV": inverted(enable)}[cell.word("CEMUX", "1", "0", "CE", "INV")]
        value = ONE if cell.word("REGSET", "RESET", "SET") == "SET" else ZERO
        groups[cell.pin("CLK"), reset, enable].append((cell, value))
    for (clock, reset, enable), members in groups.items():
        for cell, value in members:
            yield f"reg {cell.name} = {value};"
            yield from cell.drive("Q", cell.name)
        taken = _block(f"{cell.name} <= {cell.pin('DI')};" for cell, _ in members)
        cleared = _block(f"{cell.name} <= {value};" for cell, value in members)
        yield f"{edge(clock)} {unless_reset(reset, cleared, guarded(enable, taken))}"


def _block(statements: Iterable[str]) -> str:
    return "\n  ".join(("begin", *statements)) + "\nend"


def _lut_memories(cells: Iterable[Cell]) -> Iterator[str]:
    """Those with the same ports become memories of more bits."""
    groups = defaultdict(list)
    for cell in cells:
        cell.word("WCKMUX", "WCK")
        cell.word("WREMUX", "WRE")
        require_blank(cell)
        write, read = (tuple(cell.pins[name]) for name in ("WAD", "RAD"))
        groups[cell.pin("WCK"), cell.pin("WRE"), write, read].append(cell)
    for (clock, enable, write, read), alike in groups.items():
        for start in range(0, len(alike), _MEMORIES_TOGETHER):
            members = alike[start : start + _MEMORIES_TOGETHER]
            name, high = members[0].name, 4 * len(members) - 1
            data = ", ".join(wire for cell in reversed(members) for wire in reversed(cell.pins["DI"]))
            yield f"reg [{high}:0] {name} [0:15];"
            yield f"{edge(clock)} if ({enable}) {name}[{joined(write)}] <= {{{data}}};"
            yield f"wire [{high}:0] {name}_q = {name}[{joined(read)}];"
            for number, cell in enumerate(members):
                for k, wire in enumerate(cell.pins["DO"]):
                    yield f"assign {wire} = {name}_q[{4 * number + k}];"


def _register(cell: Cell, stage: str, width: int, source: str) -> Iterator[str]:
    """`source` after the register `stage` of a multiplier, if it has one, as <name>_<stage>."""
    clocks = (f"CLK{k}" for k in range(4))
    clock, name = cell.word(f"REG_{stage}_CLK", "NONE", *clocks), f"{cell.name}_{stage}"
    if clock == "NONE":
        yield f"wire [{width - 1}:0] {name} = {source};"
        return
    enable = cell.pin(cell.word(f"REG_{stage}_CE", *(f"CE{k}" for k in range(4))))
    reset = cell.pin(cell.word(f"REG_{stage}_RST", *(f"RST{k}" for k in range(4))))
    yield f"reg [{width - 1}:0] {name} = 0;"
    yield f"{edge(cell.pin(clock))} {unless_reset(reset, f'{name} <= 0;', guarded(enable, f'{name} <= {source};'))}"


def _multipliers(cells: Iterable[Cell]) -> Iterator[str]:
    """Operands, product and result pass registers or not; the signs of operands do not change."""
    for cell in cells:
        cell.word("RESETMODE", "SYNC")
        cell.word("MULT_BYPASS", "DISABLED")
        wide = []
        for operand in "AB":
            if cell.pin(f"SOURCE{operand}") != ZERO or cell.pin(f"SIGNED{operand}") not in (ZERO, ONE):
                raise DeviceError(
                    "cell MULT18X18D must have operands of its own and of constant sign to be simulated, and "
                    f"SOURCE{operand} or SIGNED{operand} says otherwise"
                )
            yield from _register(cell, f"INPUT{operand}", 18, joined(cell.bus(operand, 18)))
            name = f"{cell.name}_INPUT{operand}"
            wide.append(f"{{{{18{{{cell.pin(f'SIGNED{operand}')} & {name}[17]}}}}, {name}}}")
        yield f"wire [35:0] {cell.name}_product = {wide[0]} * {wide[1]};"
        yield from _register(cell, "PIPELINE", 36, f"{cell.name}_product")
        yield from _register(cell, "OUTPUT", 36, f"{cell.name}_PIPELINE")
        for k in range(36):
            yield from cell.drive(f"P{k}", f"{cell.name}_OUTPUT[{k}]")


MODELS: Mapping[str, Callable[[Iterable[Cell]], Iterator[str]]] = {
    "LUT4": _tables,
    "PFUMX": _multiplexers,
    "L6MUX21": _multiplexers,
    "CCU2C": _carries,
    "TRELLIS_FF": _flip_flops,
    "TRELLIS_DPR16X4": _lut_memories,
    "MULT18X18D": _multipliers,
    "DP16KD": shared_block_rams,
    "PDPW16KD": block_rams,
}
