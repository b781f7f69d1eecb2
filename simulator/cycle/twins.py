"""Stand-ins for the core's data path that simulate quickly: the same ports, the same cycles, the same bits.

The RTL remains the reference; a test keeps the two equal. Control, and with it every cycle, is the RTL's in any case.
Memories, products, sums and the vector engine's lanes are C++ (``harness/datapath.hpp``). Once a cycle it looks, by
probes, at what control asks of the parts replaced here; of data, only LOAD's and STORE's passes through the Verilog.
"""

from collections.abc import Sequence
from typing import Any

from amaranth import Cat, ClockSignal, Instance, Module, Signal
from amaranth.lib import fifo

from ...config import Config
from ...hw.cells import ScratchpadCells
from ...hw.multiply import MultiplyAccumulate
from ...hw.onchip import scratchpad_shapes
from ...hw.signatures import READ_LATENCY
from ...hw.table import TableMemory
from ...hw.vector_datapath import LOOK_UP, RESULTS, WRITTEN, VectorDatapath, VectorStep
from ...isa.memories import memory_shape, transfer_unit
from ...isa.table import Function, Memory
from .model import Array, Probe

__all__ = ["TwinPlatform"]

_INSTANCE = "twin"
_TOLD_BY_OTHERS = ("gemm_act", "a_act", "a_acc", "b_act", "b_acc")  # grants that come with a tile's, or with a step
_ROW_WRITERS = ("vector_act_write", "vector_acc_write", "load_act", "load_acc")


class TwinPlatform:
    """Passed to :func:`core_verilog`, it puts instances of its own modules in place of parts of the core.

    Members
    -------
    verilog
        Those modules, once the core has been elaborated.
    probes
        What the C++ looks at, once the core has been elaborated.
    constants
        What it must know of the core.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._modules: dict[str, str] = {}
        self.probes: list[Probe] = []
        self.constants: dict[str, int] = {"FAST": 1, **_sizes(config)}

    @property
    def verilog(self) -> str:
        return "\n".join(self._modules.values())

    def get_scratchpad_cells(self, cells: ScratchpadCells) -> Module:
        (loader,) = (name for name in cells.writers if name.startswith("load_"))
        kind = loader.removeprefix("load_")
        path = ("memories", kind, "cells")
        for client in (*cells.readers, *cells.writers):
            address = len(getattr(cells, client).address)
            if client not in _TOLD_BY_OTHERS:
                self._probe(client, 1, path, f"{client}__granted", reduced=True)
            self._probe(f"{client}_address", address, path, f"{client}__address")
        for client in (name for name in _ROW_WRITERS if name in cells.writers):
            self._probe(f"{client}_rows", cells.shape.rows, path, f"{client}__rows")
        self._probe(f"{loader}_data", 8 * cells.writers[loader], path, f"{loader}__data")
        return self._instance(f"twin_{kind}_cells", _members(cells), _store_verilog(cells))

    def get_table_cells(self, table: TableMemory) -> Module:
        members = [member for member in _members(table) if member[1] != "awake"]
        for _, name, value in members:
            if name.startswith("write_"):
                self._probe(f"load_table_{name}", len(value), ("memories", "table", "cells"), name)
        return self._instance("twin_table_cells", members)

    def get_multiply_accumulate(self, arithmetic: MultiplyAccumulate) -> Module:
        self.constants["UPDATE"] = READ_LATENCY + arithmetic.latency
        for name in ("update", "overwrite", "forward"):
            self._probe(name, len(getattr(arithmetic, name)), ("gemm", "arithmetic"), name)
        return self._instance("twin_multiply_accumulate", _members(arithmetic))

    def get_vector_datapath(self, path: VectorDatapath) -> Module:
        """Which results there are is still hardware; `alive` is 0 after a reset, when there are none."""
        alive, look_up, marks = Signal(), Signal(), Signal(WRITTEN)
        members = [*_members(path), ("i", "alive", alive), ("i", "look_up", look_up)]
        members = [member for member in members if member[1] not in ("ready", "take")]
        for name, width in (("step", VectorStep().size), ("alive", 1), ("look_up", 1)):
            self._probe(f"vector_{name}", width, ("vector", "datapath"), name)
        self.constants |= {f"STEP_{name.upper()}": field.offset for name, field in VectorStep()}
        m = self._instance("twin_vector_datapath", members)
        m.submodules.results = results = fifo.SyncFIFOBuffered(width=1, depth=RESULTS)
        m.d.sync += [alive.eq(1), marks.eq(Cat(path.step.result, marks))]
        m.d.comb += [
            look_up.eq(marks[LOOK_UP - 1]),
            results.w_en.eq(marks[WRITTEN - 1]),
            results.r_en.eq(path.take),
            path.ready.eq(results.r_rdy),
        ]
        return m

    def arrays(self) -> list[Array]:
        """Where memories are: each row of one is an array of the C++."""
        arrays = []
        for kind, shape in scratchpad_shapes(self._config).items():
            for row in range(shape.rows):
                path = (_INSTANCE, f"{kind.name.lower()}{row}")
                arrays.append(Array(kind, row, 0, path, shape.words, shape.word_bytes))
        depth = memory_shape(self._config, Memory.TABLE).depth
        return [*arrays, Array(Memory.TABLE, 0, 0, (_INSTANCE, "table0"), depth, 1)]

    def _probe(self, name: str, width: int, path: Sequence[str], port: str, *, reduced: bool = False) -> None:
        place = ".".join((*path, _INSTANCE, port))
        self.probes.append(Probe(f"{_INSTANCE}_{name}", width, place, reduced))

    def _instance(self, name: str, members: Sequence[tuple[str, str, Any]], body: str = "") -> Module:
        self._modules[name] = _module(name, members, body)
        m = Module()
        ports = {f"{direction}_{port}": value for direction, port, value in members}
        m.submodules[_INSTANCE] = Instance(name, i_clk=ClockSignal(), **ports)
        return m


def _sizes(config: Config) -> dict[str, int]:
    shapes = scratchpad_shapes(config)
    return {
        "ROWS": config.rows,
        "BLOCK_IN": config.block_in,
        "BLOCK_OUT": config.block_out,
        "LANES": config.vector_lanes,
        "MULTIPLIER_BITS": config.multiplier_bits,
        "READ_LATENCY": READ_LATENCY,
        "RESULTS": RESULTS,
        "TABLES": config.tables,
        **{f"{kind.name}_WORDS": shape.words for kind, shape in shapes.items()},
        **{f"{kind.name}_WORD_BYTES": shape.word_bytes for kind, shape in shapes.items()},
        **{f"{kind.name}_UNIT": transfer_unit(config, kind) for kind in shapes},
        **{f"FUNCTION_{function.name}": function for function in Function},
        "MEMORY_ACC": Memory.ACC,
    }


def _members(component: Any) -> list[tuple[str, str, Any]]:
    """Direction (``"i"`` or ``"o"``), name and value of each port."""
    flat = component.signature.flatten(component)
    return [
        ("i" if member.flow.name == "In" else "o", "__".join(map(str, path)), value) for path, member, value in flat
    ]


def _module(name: str, members: Sequence[tuple[str, str, Any]], body: str) -> str:
    """Outputs that `body` has no register for are 0: what they would carry stays in the C++."""
    ports, zeros = ["input clk"], []
    for direction, port, value in members:
        kept = f" {port} <=" in body
        kind = {"i": "input", "o": "output reg" if kept else "output"}[direction]
        ports.append(f"{kind} [{max(len(_bits(value)), 1) - 1}:0] {port}")
        if direction == "o" and not kept:
            zeros.append(f"  assign {port} = 0;\n")
    return f"module {name}(\n  " + ",\n  ".join(ports) + f"\n);\n{''.join(zeros)}{body}endmodule\n"


def _bits(value: Any) -> Any:
    return value.as_value() if hasattr(value, "as_value") else value


def _store_verilog(cells: ScratchpadCells) -> str:
    """STORE's reads: the C++ has looked at this cycle's requests before the edge."""
    text = ""
    for client in (name for name in cells.readers if name.startswith("store_")):
        bits = 8 * cells.readers[client] * cells.shape.rows
        text += f"""\
  import "DPI-C" function void tilewright_{client}(output bit [{bits - 1}:0] data);
  reg [{READ_LATENCY - 1}:0] {client}__asked;
  reg [{bits - 1}:0] {client}__found [0:{READ_LATENCY - 2}];
  integer {client}__n;
  always @(posedge clk) begin
    if ({client}__asked[{READ_LATENCY - 2}]) {client}__data <= {client}__found[{READ_LATENCY - 2}];
    for ({client}__n = {READ_LATENCY - 2}; {client}__n > 0; {client}__n = {client}__n - 1)
      {client}__found[{client}__n] = {client}__found[{client}__n - 1];
    {client}__asked = {{{client}__asked[{READ_LATENCY - 2}:0], |{client}__granted}};
    if ({client}__asked[0]) tilewright_{client}({client}__found[0]);
  end
"""
    return text
