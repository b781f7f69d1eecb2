"""Stand-ins for the core's data path that simulate quickly: the same ports, the same cycles, the same bits.

The RTL remains the reference; a test keeps the two equal. Control, and with it every cycle, is the RTL's in any case.
Products and sums are computed in C (``harness/arithmetic.cpp``), which the Verilog here calls.
"""

from typing import Any

from amaranth import ClockSignal, Instance, Module

from ...config import Config
from ...hw.cells import ScratchpadCells
from ...hw.multiply import MultiplyAccumulate
from ...hw.verilog import MemoryArray, memory_arrays
from ...isa.table import Memory

__all__ = ["TwinPlatform"]

_INSTANCE = "twin"


class TwinPlatform:
    """Passed to :func:`core_verilog`, it puts instances of its own modules in place of parts of the core.

    Members
    -------
    verilog
        Those modules, once the core has been elaborated.
    """

    def __init__(self) -> None:
        self._modules: dict[str, str] = {}

    @property
    def verilog(self) -> str:
        return "\n".join(self._modules.values())

    def get_scratchpad_cells(self, cells: ScratchpadCells) -> Module:
        name = f"twin_cells_{next(iter(cells.readers))}"
        self._modules[name] = _cells_verilog(name, cells)
        return _instance(name, cells)

    def get_multiply_accumulate(self, arithmetic: MultiplyAccumulate) -> Module:
        name = "twin_multiply_accumulate"
        self._modules[name] = _multiply_accumulate_verilog(name, arithmetic)
        return _instance(name, arithmetic)

    @staticmethod
    def memory_arrays(config: Config) -> list[MemoryArray]:
        """Where memories are: a scratchpad's banks follow one another in one array a row."""
        arrays = []
        for array in memory_arrays(config):
            if array.memory is Memory.TABLE:
                arrays.append(array)
            elif array.bank == 0:
                banks = sum((a.memory, a.row) == (array.memory, array.row) for a in memory_arrays(config))
                path = (*array.path[:3], _INSTANCE, f"cells{array.row}")
                words = array.words * banks
                arrays.append(MemoryArray(array.memory, array.row, 0, path, words, array.word_bytes))
        return arrays


def _members(component: Any) -> list[tuple[str, str, Any]]:
    """Direction (``"i"`` or ``"o"``), name and value of each port."""
    flat = component.signature.flatten(component)
    return [
        ("i" if member.flow.name == "In" else "o", "__".join(map(str, path)), value) for path, member, value in flat
    ]


def _instance(name: str, component: Any) -> Module:
    m = Module()
    ports = {f"{direction}_{port}": value for direction, port, value in _members(component)}
    m.submodules[_INSTANCE] = Instance(name, i_clk=ClockSignal(), **ports)
    return m


def _module(name: str, component: Any, body: str) -> str:
    kinds = {"i": "input", "o": "output reg"}
    ports = ["input clk"]
    for direction, port, value in _members(component):
        ports.append(f"{kinds[direction]} [{max(len(_bits(value)), 1) - 1}:0] {port}")
    return f"module {name}(\n  " + ",\n  ".join(ports) + f"\n);\n{body}endmodule\n"


def _bits(value: Any) -> Any:
    return value.as_value() if hasattr(value, "as_value") else value


def _cells_verilog(name: str, cells: ScratchpadCells) -> str:
    """Looks at memory only where a client is served. Of one edge, reads see what was there before its writes."""
    shape = cells.shape
    bits = 8 * shape.word_bytes
    declared = [
        f"  reg [{bits - 1}:0] cells{row} [{shape.words - 1}:0] /*verilator public_flat_rd*/;\n"
        for row in range(shape.rows)
    ]
    steps = []
    for client, width in cells.readers.items():
        declared.append(f"  reg {client}__asked;\n  reg [{8 * width * shape.rows - 1}:0] {client}__first;\n")
        steps.append(f"    if ({client}__asked) {client}__data <= {client}__first;\n")
        steps.append(f"    {client}__asked = |{client}__granted;\n    if ({client}__asked) begin\n")
        for row in range(shape.rows):
            target = f"{client}__first[{8 * width * row} +: {8 * width}]" if shape.rows > 1 else f"{client}__first"
            steps.append(f"      {target} = {_cell(cells, client, width, row)};\n")
        steps.append("    end\n")
    for client, width in cells.writers.items():
        for row in range(shape.rows):
            data = f"{client}__data[{8 * width * row} +: {8 * width}]"
            steps.append(
                f"    if (|{client}__granted & {client}__rows[{row}]) {_cell(cells, client, width, row)} = {data};\n"
            )
    body = "".join(declared) + "  always @(posedge clk) begin\n" + "".join(steps) + "  end\n"
    return _module(name, cells, body)


def _cell(cells: ScratchpadCells, client: str, width: int, row: int) -> str:
    """The part of the array that `client` addresses; a bank's number is the address's high bits."""
    parts = cells.shape.word_bytes // width
    address = f"{client}__address"
    if parts == 1:
        return f"cells{row}[{address}]"
    sub = parts.bit_length() - 1
    top = len(getattr(cells, client).address) - 1
    return f"cells{row}[{address}[{top}:{sub}]][{8 * width} * {address}[{sub - 1}:0] +: {8 * width}]"


def _multiply_accumulate_verilog(name: str, arithmetic: MultiplyAccumulate) -> str:
    config = arithmetic.config
    cells = 32 * config.block_out * config.rows
    act, wgt = 8 * config.block_in * config.rows, 8 * config.block_in * config.block_out
    last = arithmetic.latency - 1
    body = f"""\
  import "DPI-C" function void tilewright_dot_products(
    input bit [{act - 1}:0] act, input bit [{wgt - 1}:0] wgt, output bit [{cells - 1}:0] sums);
  import "DPI-C" function void tilewright_add(
    input bit [{cells - 1}:0] old, input bit [{cells - 1}:0] sums, output bit [{cells - 1}:0] updated);
  reg [{cells - 1}:0] result1, result2, old, updated, fresh;
""" + "".join(f"  reg [{cells - 1}:0] sums{n};\n" for n in range(last + 1))
    body += f"""\
  always @(posedge clk) begin
    if (update[0]) begin
      if (overwrite) old = 0;
      else if (forward[0]) old = result;
      else if (forward[1]) old = result1;
      else if (forward[2]) old = result2;
      else old = stored;
      tilewright_add(old, sums{last}, updated);
    end
    if (update[2]) result2 = result1;
    if (update[1]) result1 = result;
    if (update[0]) result <= updated;
"""
    body += "".join(f"    sums{n} = sums{n - 1};\n" for n in range(last, 0, -1))
    body += """\
    if (valid) begin
      tilewright_dot_products(act, wgt, fresh);
      sums0 = fresh;
    end
  end
"""
    return _module(name, arithmetic, body)
