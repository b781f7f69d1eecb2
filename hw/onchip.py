"""All on-chip memories of a core and the ways of the transfer engines into them."""

from typing import Any

from amaranth import Cat, DomainRenamer, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped

from ..config import Config
from ..isa.memories import ROW_MEMORIES, memory_shape, transfer_unit
from ..isa.table import Memory
from .cells import ScratchpadShape
from .scratchpad import Scratchpad, ScratchpadReader, ScratchpadWriter, one_bank
from .signatures import READ_LATENCY, CellReadPort, CellWrite, log2
from .table import TableMemory
from .vector_datapath import table_members

__all__ = ["OnChipMemories", "scratchpad_shapes"]


def scratchpad_shapes(config: Config) -> dict[Memory, ScratchpadShape]:
    """The scratchpads of a core; an ACT word holds ``config.channels`` bytes, others a cell."""
    shapes = {}
    for kind in (Memory.ACT, Memory.ACC, Memory.WGT, Memory.BIAS, Memory.SCALE):
        shape = memory_shape(config, kind)
        word = config.channels if kind is Memory.ACT else shape.cell_bytes
        banks = {Memory.ACT: config.act_banks, Memory.ACC: config.acc_banks}.get(kind, 1)
        words = shape.depth * shape.cell_bytes // word
        shapes[kind] = ScratchpadShape(rows=shape.rows, banks=banks, words=words, word_bytes=word)
    return shapes


class OnChipMemories(Component):
    """ACT, ACC, WGT, BIAS, SCALE and TABLE.

    Parameters
    ----------
    gated_clocks
        Each memory is in the clock domain of the engine that uses it most, ``gemm`` or ``vector``; the answers to
        `store` are in ``store``.

    Members
    -------
    load, store
        The transfer engines' ports.
    gemm_act, gemm_wgt, gemm_acc, gemm_acc_write
        The matrix engine's; always served at once.
    a_act, a_acc, b_act, b_acc, bias, scale, vector_act_write, vector_acc_write, table_*
        The vector engine's. No two of `gemm_act`, `a_act`, `b_act` may ask for one bank in a cycle, and no two of
        `gemm_acc`, `a_acc`, `b_acc`.
    vector_act, vector_acc
        A bit for each bank that the vector engine may read from in this cycle.
    awake
        For each clock domain: something in it may change at the next edge.
    """

    def __init__(self, config: Config, *, gated_clocks: bool = False) -> None:
        self._config, self._gated = config, gated_clocks
        shapes = scratchpad_shapes(config)
        lanes, cell = config.vector_lanes, 4 * config.block_out
        unit = {kind: transfer_unit(config, kind) for kind in Memory}
        act, acc = shapes[Memory.ACT], shapes[Memory.ACC]
        self._shapes = shapes
        self._clients: dict[Memory, tuple[dict[str, int], dict[str, int]]] = {
            Memory.ACT: (
                {"gemm_act": config.block_in, "a_act": lanes, "b_act": lanes, "store_act": unit[Memory.ACT]},
                {"vector_act_write": lanes, "load_act": unit[Memory.ACT]},
            ),
            Memory.ACC: (
                {"gemm_acc": cell, "a_acc": 4 * lanes, "b_acc": 4 * lanes, "store_acc": unit[Memory.ACC]},
                {"gemm_acc_write": cell, "vector_acc_write": 4 * lanes, "load_acc": unit[Memory.ACC]},
            ),
            Memory.WGT: ({"gemm_wgt": shapes[Memory.WGT].word_bytes}, {"load_wgt": unit[Memory.WGT]}),
            Memory.BIAS: ({"bias": 4 * lanes}, {"load_bias": unit[Memory.BIAS]}),
            Memory.SCALE: ({"scale": 8 * lanes}, {"load_scale": unit[Memory.SCALE]}),
        }
        assert act.rows == acc.rows
        members: dict[str, Any] = {"load": In(stream.Signature(CellWrite(config))), "store": In(CellReadPort(config))}
        for kind, (readers, writers) in self._clients.items():
            members |= {n: In(ScratchpadReader(shapes[kind], w)) for n, w in readers.items() if not _transfers(n)}
            members |= {n: In(ScratchpadWriter(shapes[kind], w)) for n, w in writers.items() if not _transfers(n)}
        members |= {name: member.flip() for name, member in table_members(config).items()}
        members |= {"vector_act": In(config.act_banks), "vector_acc": In(config.acc_banks)}
        members["awake"] = Out(Signature({name: Out(1) for name in ("gemm", "vector")}))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pads = {}
        for kind, (readers, writers) in self._clients.items():
            pads[kind] = pad = Scratchpad(
                self._shapes[kind], readers=readers, writers=writers, agreed=[n for n in readers if not _transfers(n)]
            )
            self._place(m, kind, pad)
            for name in (*readers, *writers):
                if not _transfers(name):
                    connect(m, flipped(getattr(self, name)), getattr(pad, name))
        table = TableMemory(self._config)
        self._place(m, Memory.TABLE, table)
        m.d.comb += [
            table.enable.eq(self.table_enable),
            table.address.eq(self.table_address),
            self.table_entry.eq(table.entry),
        ]
        for kind in (Memory.ACT, Memory.ACC):
            name = kind.name.lower()
            gemm, count = getattr(self, f"gemm_{name}").request, self._shapes[kind].banks
            reads = one_bank(gemm.payload, count) & gemm.valid.replicate(count)
            m.d.comb += pads[kind].kept.eq(reads | getattr(self, f"vector_{name}"))
        self._loads(m, pads, table)
        self._stores(m, pads)
        return m

    def _place(self, m: Module, kind: Memory, part: Any) -> None:
        clock = "gemm" if kind in (Memory.ACT, Memory.ACC, Memory.WGT) else "vector"
        m.submodules[kind.name.lower()] = DomainRenamer(clock)(part) if self._gated else part
        with m.If(part.awake):
            m.d.comb += getattr(self.awake, clock).eq(1)

    def _unit_address(self, kind: Memory, request: Any) -> Any:
        """Cell and part joined: an address in units of the transfer."""
        shape = memory_shape(self._config, kind)
        parts = shape.cell_bytes // transfer_unit(self._config, kind)
        return Cat(request.part[: log2(parts)], request.address[: log2(shape.depth)])

    def _loads(self, m: Module, pads: dict[Memory, Scratchpad], table: TableMemory) -> None:
        cells = self.load
        with m.Switch(cells.p.memory):
            for kind, pad in pads.items():
                request = getattr(pad, f"load_{kind.name.lower()}").request
                bits = 8 * transfer_unit(self._config, kind)
                m.d.comb += request.p.address.eq(self._unit_address(kind, cells.p))
                m.d.comb += request.p.rows.eq(cells.p.row_mask if kind in ROW_MEMORIES else 1)
                for row in range(self._shapes[kind].rows):
                    m.d.comb += request.p.data[row].eq(cells.p.data[:bits])
                with m.Case(kind):
                    m.d.comb += [request.valid.eq(cells.valid), cells.ready.eq(request.ready)]
            with m.Case(Memory.TABLE):
                m.d.comb += [table.write_enable.eq(cells.valid), cells.ready.eq(1)]
        m.d.comb += [table.write_address.eq(cells.p.address), table.write_data.eq(cells.p.data[:8])]

    def _stores(self, m: Module, pads: dict[Memory, Scratchpad]) -> None:
        request = self.store.request
        from_acc = request.p.memory == Memory.ACC
        acc, act = pads[Memory.ACC].store_acc, pads[Memory.ACT].store_act
        m.d.comb += [
            acc.request.payload.eq(self._unit_address(Memory.ACC, request.p)),
            act.request.payload.eq(self._unit_address(Memory.ACT, request.p)),
            acc.request.valid.eq(request.valid & from_acc),
            act.request.valid.eq(request.valid & ~from_acc),
            request.ready.eq(Mux(from_acc, acc.request.ready, act.request.ready)),
        ]
        valid: Any = request.valid & request.ready
        acc_now: Any = from_acc
        row: Any = request.p.row
        for n in range(READ_LATENCY):
            flags = [Signal(name=f"store_valid{n}"), Signal(name=f"store_acc{n}", reset_less=True)]
            row_q = Signal.like(request.p.row, name=f"store_row{n}", reset_less=True)
            m.d["store" if self._gated else "sync"] += [flags[0].eq(valid), flags[1].eq(acc_now), row_q.eq(row)]
            valid, acc_now, row = flags[0], flags[1], row_q
        m.d.comb += self.store.valid.eq(valid)
        if self._config.rows == 1:
            m.d.comb += self.store.data.eq(Mux(acc_now, acc.data[0], act.data[0]))
        else:
            wrapped = row[: log2(self._config.rows)]
            m.d.comb += self.store.data.eq(Mux(acc_now, acc.data[wrapped], act.data[wrapped]))


def _transfers(name: str) -> bool:
    return name.startswith(("load_", "store_"))
