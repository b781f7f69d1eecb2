"""On-chip memories: banks with one read and one write port each, shared by several engines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import Component, In, Out, Signature

from .signatures import log2

__all__ = ["Bank", "Scratchpad", "ScratchpadReader", "ScratchpadShape", "ScratchpadWriter"]


@dataclass(frozen=True, kw_only=True)
class ScratchpadShape:
    """`rows` copies of `words` words of `word_bytes`, split over `banks` by the address's high bits."""

    rows: int
    banks: int
    words: int
    word_bytes: int

    @property
    def bank_words(self) -> int:
        return self.words // self.banks


class ScratchpadReader(Signature):
    """Reads `width` bytes of every row at once; the address counts such units.

    `data` answers READ_LATENCY cycles after a request was accepted, and lasts one cycle.
    """

    def __init__(self, shape: ScratchpadShape, width: int) -> None:
        units = shape.words * (shape.word_bytes // width)
        super().__init__(
            {
                "request": Out(stream.Signature(log2(units))),
                "data": In(data.ArrayLayout(8 * width, shape.rows)),
            }
        )


class ScratchpadWriter(Signature):
    """Writes `width` bytes to the rows in `rows`; the address counts such units.

    What was accepted is seen by any read that is accepted in a later cycle.
    """

    def __init__(self, shape: ScratchpadShape, width: int) -> None:
        units = shape.words * (shape.word_bytes // width)
        payload = data.StructLayout(
            {
                "address": log2(units),
                "rows": shape.rows,
                "data": data.ArrayLayout(8 * width, shape.rows),
            }
        )
        super().__init__({"request": Out(stream.Signature(payload))})


class Bank(Component):
    """One memory with a registered output: the component that an FPGA's own block RAM stands in for.

    Members
    -------
    read_enable, read_address, read_data
        `read_data` follows READ_LATENCY cycles later.
    write_enable, write_address, write_data
        A bit of `write_enable` for each `granularity` bits.
    """

    def __init__(self, *, words: int, word_bits: int, granularity: int) -> None:
        self._words, self._word_bits, self._granularity = words, word_bits, granularity
        super().__init__(
            {
                "read_enable": In(1),
                "read_address": In(range(words)),
                "read_data": Out(word_bits),
                "write_enable": In(word_bits // granularity),
                "write_address": In(range(words)),
                "write_data": In(word_bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.cells = cells = memory.Memory(shape=self._word_bits, depth=self._words, init=[])
        write = cells.write_port(granularity=self._granularity)
        read = cells.read_port()
        fresh = Signal()
        held = Signal(self._word_bits, name="held", reset_less=True)
        m.d.comb += [
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            self.read_data.eq(held),
        ]
        m.d.sync += fresh.eq(self.read_enable)
        with m.If(fresh):
            m.d.sync += held.eq(read.data)
        return m


class Scratchpad(Component):
    """Banked memory with fixed priorities.

    Parameters
    ----------
    shape
        Its size.
    readers, writers
        Width in bytes of each client. Of those that ask for one bank, the first in the order given is served.

    Members
    -------
    <client>
        ScratchpadReader or ScratchpadWriter, by the names given.
    """

    def __init__(self, shape: ScratchpadShape, *, readers: Mapping[str, int], writers: Mapping[str, int]) -> None:
        self._shape, self._readers, self._writers = shape, dict(readers), dict(writers)
        members: dict[str, Any] = {name: In(ScratchpadReader(shape, width)) for name, width in readers.items()}
        members |= {name: In(ScratchpadWriter(shape, width)) for name, width in writers.items()}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shape = self._shape
        unit = min(self._writers.values())
        banks = [
            [
                Bank(words=shape.bank_words, word_bits=8 * shape.word_bytes, granularity=8 * unit)
                for _ in range(shape.banks)
            ]
            for _ in range(shape.rows)
        ]
        for row, row_banks in enumerate(banks):
            for number, bank in enumerate(row_banks):
                m.submodules[f"r{row}_b{number}"] = bank
        self._arbitrate_reads(m, banks)
        self._arbitrate_writes(m, banks, unit)
        return m

    def _fields(self, address: Any, width: int) -> tuple[Any, Any, Any]:
        """(unit within the word, word within the bank, bank) of an address in units of `width` bytes."""
        sub = log2(self._shape.word_bytes // width)
        bank = log2(self._shape.banks)
        top = len(address) - bank
        return address[:sub], address[sub:top], address[top:]

    def _arbitrate_reads(self, m: Module, banks: list[list[Bank]]) -> None:
        count = self._shape.banks
        taken: Any = Const(0, count)
        address: list[Any] = [Const(0, log2(self._shape.bank_words))] * count
        for name, width in self._readers.items():
            reader = getattr(self, name)
            sub, word, bank = self._fields(reader.request.payload, width)
            wanted = Signal(count, name=f"{name}_wanted")
            m.d.comb += wanted.eq(Cat(bank == b for b in range(count)) if count > 1 else 1)
            m.d.comb += reader.request.ready.eq(~(wanted & taken).any())
            granted = Signal(count, name=f"{name}_granted")
            m.d.comb += granted.eq(wanted & ~taken & reader.request.valid.replicate(count))
            claimed = Signal(count, name=f"{name}_claimed")
            m.d.comb += claimed.eq(taken | granted)
            taken = claimed
            for b in range(count):
                chosen = Signal.like(address[b], name=f"{name}_address{b}")
                m.d.comb += chosen.eq(address[b])
                with m.If(granted[b]):
                    m.d.comb += chosen.eq(word)
                address[b] = chosen
            self._answer(m, name, width, sub, granted, banks)
        for row_banks in banks:
            for b, bank_memory in enumerate(row_banks):
                m.d.comb += [bank_memory.read_enable.eq(taken[b]), bank_memory.read_address.eq(address[b])]

    def _answer(self, m: Module, name: str, width: int, sub: Any, granted: Signal, banks: list[list[Bank]]) -> None:
        """Steer the banks' outputs to the reader, READ_LATENCY cycles after its grant."""
        reader = getattr(self, name)
        select1 = Signal(self._shape.banks, name=f"{name}_select1", reset_less=True)
        select2 = Signal(self._shape.banks, name=f"{name}_select2", reset_less=True)
        sub1 = Signal(len(sub), name=f"{name}_sub1", reset_less=True)
        sub2 = Signal(len(sub), name=f"{name}_sub2", reset_less=True)
        m.d.sync += [select1.eq(granted), select2.eq(select1), sub1.eq(sub), sub2.eq(sub1)]
        for row, row_banks in enumerate(banks):
            word = Signal(8 * self._shape.word_bytes, name=f"{name}_word{row}")
            if len(row_banks) == 1:
                m.d.comb += word.eq(row_banks[0].read_data)
            else:
                for b, bank_memory in enumerate(row_banks):
                    with m.If(select2[b]):
                        m.d.comb += word.eq(bank_memory.read_data)
            m.d.comb += reader.data[row].eq(word.word_select(sub2, 8 * width))

    def _arbitrate_writes(self, m: Module, banks: list[list[Bank]], unit: int) -> None:
        shape = self._shape
        count = shape.banks
        taken: Any = Const(0, count)
        for name, width in self._writers.items():
            request = getattr(self, name).request
            sub, word, bank = self._fields(request.p.address, width)
            wanted = Signal(count, name=f"{name}_wanted")
            granted = Signal(count, name=f"{name}_granted")
            claimed = Signal(count, name=f"{name}_claimed")
            m.d.comb += [
                wanted.eq(Cat(bank == b for b in range(count)) if count > 1 else 1),
                request.ready.eq(~(wanted & taken).any()),
                granted.eq(wanted & ~taken & request.valid.replicate(count)),
                claimed.eq(taken | granted),
            ]
            taken = claimed
            copies = shape.word_bytes // width
            enable = Signal(shape.word_bytes // unit, name=f"{name}_enable")
            for u in range(shape.word_bytes // unit):
                m.d.comb += enable[u].eq(sub == u * unit // width)
            for row, row_banks in enumerate(banks):
                for b, bank_memory in enumerate(row_banks):
                    with m.If(granted[b]):
                        m.d.comb += bank_memory.write_address.eq(word)
                        m.d.comb += bank_memory.write_data.eq(request.p.data[row].replicate(copies))
                        with m.If(request.p.rows[row]):
                            m.d.comb += bank_memory.write_enable.eq(enable)
