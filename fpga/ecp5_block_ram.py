"""An ECP5's block RAM as Verilog: 18 kbit, a first register at the output and, on demand, a second."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import DeviceError
from .cell_model import ONE, ZERO, Cell, edge, guarded, inverted, joined, require_blank, unless_reset

__all__ = ["block_rams", "shared_block_rams"]

_SHIFTS = {1: 0, 2: 1, 4: 2, 9: 3, 18: 4, 36: 5}  # bits of an address of 14 that are below the word
_ADDRESS_BITS = 14
_BYTE = 9


@dataclass(frozen=True, kw_only=True)
class _Port:
    """One port, its pins as wires.

    Members
    -------
    width
        Bits of a word.
    chosen
        The port does something at this edge.
    address
        14 wires. A port that writes 18 or 36 bits has its bytes' enables in the lowest.
    """

    name: str
    width: int
    clock: str
    chosen: str
    address: Sequence[str]
    reset: str = ZERO
    write: str = ZERO
    write_data: Sequence[str] = ()
    read_data: Sequence[str | None] = ()
    output_enable: str = ZERO
    output_register: bool = False
    while_writing: str = "NORMAL"


def shared_block_rams(cells: Iterable[Cell]) -> Iterator[str]:
    """DP16KD: two ports, each of which reads and writes. One of 36 bits takes the data pins of both."""
    for cell in cells:
        for letter in "AB":
            cell.word(f"CLK{letter}MUX", f"CLK{letter}")
        ports = [_shared_port(cell, letter) for letter in "AB"]
        if any(port.width == 36 and port.write != ZERO and port.name.endswith("B") for port in ports):
            raise DeviceError("cell DP16KD must not write 36 bits through port B to be simulated, and does")
        yield from _block_ram(cell, ports)


def _shared_port(cell: Cell, letter: str) -> _Port:
    width = cell.number(f"DATA_WIDTH_{letter}", 18)
    data = "AB" if width == 36 else letter
    outputs = [f"DO{each}{k}" for each in data for k in range(18)][:width]
    # Port A of 36 bits only writes: what both ports' pins show is port B's.
    silent = width == 36 and letter == "A"
    return _Port(
        name=f"{cell.name}_{letter}",
        width=width,
        clock=cell.pin(f"CLK{letter}"),
        chosen=_chosen(cell, f"CE{letter}", f"CS{letter}", f"CSDECODE_{letter}"),
        address=cell.bus(f"AD{letter}", _ADDRESS_BITS),
        reset=cell.pin(f"RST{letter}"),
        write=cell.pin(f"WE{letter}"),
        write_data=[cell.pin(f"DI{each}{k}") for each in data for k in range(18)][:width],
        read_data=() if silent else [cell.output(name) for name in outputs],
        output_enable=cell.pin(f"OCE{letter}"),
        output_register=cell.word(f"REGMODE_{letter}", "NOREG", "OUTREG") == "OUTREG",
        while_writing=cell.word(f"WRITEMODE_{letter}", "NORMAL", "WRITETHROUGH", "READBEFOREWRITE"),
    )


def block_rams(cells: Iterable[Cell]) -> Iterator[str]:
    """PDPW16KD: a port of 36 bits that writes, and one that reads."""
    for cell in cells:
        cell.word("CLKWMUX", "CLKW")
        cell.word("CLKRMUX", "CLKR")
        writer = _Port(
            name=f"{cell.name}_W",
            width=36,
            clock=cell.pin("CLKW"),
            chosen=_chosen(cell, "CEW", "CSW", "CSDECODE_W"),
            address=[*cell.bus("BE", 4), ZERO, *cell.bus("ADW", _ADDRESS_BITS - 5)],
            write=ONE,
            write_data=cell.bus("DI", 36),
        )
        reader = _Port(
            name=f"{cell.name}_R",
            width=36,
            clock=cell.pin("CLKR"),
            chosen=_chosen(cell, "CER", "CSR", "CSDECODE_R"),
            address=cell.bus("ADR", _ADDRESS_BITS),
            reset=cell.pin("RST"),
            read_data=[cell.output(f"DO{k}") for k in range(36)],
            output_enable=cell.pin("OCER"),
            output_register=cell.word("REGMODE", "NOREG", "OUTREG") == "OUTREG",
        )
        for name in ("DATA_WIDTH_W", "DATA_WIDTH_R"):
            if cell.number(name, 36) != 36:
                raise DeviceError(f"cell PDPW16KD must have {name} 36 to be simulated, not {cell.number(name)}")
        yield from _block_ram(cell, (writer, reader))


def _chosen(cell: Cell, enable: str, select: str, decode: str) -> str:
    cell.word(decode, "0b000")
    terms = {cell.pin(enable), *(inverted(wire) for wire in cell.bus(select, 3))} - {ONE}
    return " & ".join(sorted(terms)) or ONE


def _block_ram(cell: Cell, ports: Sequence[_Port]) -> Iterator[str]:
    """The memory in words of its widest port, of which a narrower port has parts."""
    require_blank(cell)
    if any(port.reset != ZERO for port in ports):
        cell.word("RESETMODE", "SYNC")
    widths = {port.width for port in ports}
    widest = max(widths)
    if len(widths) > 1 and min(widths) < _BYTE:
        raise DeviceError(f"cell {cell.kind} must have ports of at least 9 bits or alike to be simulated")
    yield f"reg [{widest - 1}:0] {cell.name} [0:{(1 << _ADDRESS_BITS - _SHIFTS[widest]) - 1}];"
    for port in ports:
        if port.write != ZERO:
            yield f"{edge(port.clock)} {_guard_all((port.chosen, port.write), _written(cell, port, widest))}"
        if any(wire is not None for wire in port.read_data):
            yield from _answers(port, _place(cell, port, widest))


def _place(cell: Cell, port: _Port, widest: int, first: int = 0, width: int | None = None) -> str:
    """The part of the memory that the port's address names: from its bit `first` on, `width` bits."""
    row = f"{cell.name}[{joined(port.address[_SHIFTS[widest] :])}]"
    wanted = width or port.width
    if wanted == widest:
        return row
    below = port.address[_SHIFTS[port.width] : _SHIFTS[widest]]
    start = f"{port.width} * {joined(below)} + {first}" if below else str(first)
    return f"{row}[{start} +: {wanted}]"


def _written(cell: Cell, port: _Port, widest: int) -> str:
    data = port.write_data
    if port.width <= _BYTE:
        return f"{_place(cell, port, widest)} <= {joined(data)};"
    lines = [
        guarded(
            port.address[first // _BYTE],
            f"{_place(cell, port, widest, first, _BYTE)} <= {joined(data[first : first + _BYTE])};",
        )
        for first in range(0, port.width, _BYTE)
    ]
    return "begin\n  " + "\n  ".join(lines) + "\nend"


def _guard_all(conditions: Iterable[str], action: str) -> str:
    wanted = [condition for condition in conditions if condition != ONE]
    return guarded(" & ".join(wanted) or ONE, action)


def _answers(port: _Port, stored: str) -> Iterator[str]:
    """What a port answers while it writes: the old word, the new one, or its last answer again."""
    high = port.width - 1
    first = f"{port.name}_first"
    yield f"reg [{high}:0] {first} = 0;"
    read = f"{first} <= {stored};"
    if port.write == ZERO or port.while_writing == "READBEFOREWRITE":
        taken = _guard_all((port.chosen,), read)
    elif port.while_writing == "WRITETHROUGH":
        fresh = f"{first} <= {joined(port.write_data)};"
        taken = _guard_all((port.chosen,), f"begin if ({port.write}) {fresh} else {read} end")
    else:
        taken = _guard_all((port.chosen, inverted(port.write)), read)
    yield f"{edge(port.clock)} {unless_reset(port.reset, f'{first} <= 0;', taken)}"
    answer = first
    if port.output_register:
        answer = f"{port.name}_second"
        yield f"reg [{high}:0] {answer} = 0;"
        taken = guarded(port.output_enable, f"{answer} <= {first};")
        yield f"{edge(port.clock)} {unless_reset(port.reset, f'{answer} <= 0;', taken)}"
    for k, wire in enumerate(port.read_data):
        if wire is not None:
            yield f"assign {wire} = {answer}[{k}];"
