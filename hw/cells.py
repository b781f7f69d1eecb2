"""The cells of an on-chip memory: its banks, and the ways from and to those who share them."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out, Signature

from .signatures import log2

__all__ = ["Bank", "ScratchpadCells", "ScratchpadShape"]


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


class Bank(Component):
    """One memory with a registered output: the component that an FPGA's own block RAM stands in for.

    Members
    -------
    read_enable, read_address, read_data
        `read_data` follows READ_LATENCY - 1 cycles later.
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


class ScratchpadCells(Component):
    """Banked memory, each bank of which serves at most one reader and one writer in a cycle.

    Parameters
    ----------
    shape
        Its size.
    readers, writers
        Width in bytes of each client.

    Members
    -------
    <reader>
        `granted`: the bank that it reads, one-hot, or 0; `address` in units of its width; `data` of all rows,
        READ_LATENCY cycles after the grant. The bank is asked in the cycle after that: what is written to the same
        place in just that cycle spoils the answer.
    <writer>
        `granted` and `address` as a reader's; `data` for each of the `rows`. Written at once.
    """

    def __init__(self, shape: ScratchpadShape, *, readers: Mapping[str, int], writers: Mapping[str, int]) -> None:
        self.shape, self.readers, self.writers = shape, dict(readers), dict(writers)
        members: dict[str, Any] = {}
        for name, width in (*readers.items(), *writers.items()):
            address = In(log2(shape.words * (shape.word_bytes // width)))
            values = data.ArrayLayout(8 * width, shape.rows)
            way = {"data": Out(values)} if name in readers else {"data": In(values), "rows": In(shape.rows)}
            members[name] = Out(Signature({"granted": In(shape.banks), "address": address, **way}))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Any:
        if hasattr(platform, "get_scratchpad_cells"):
            return platform.get_scratchpad_cells(self)
        m = Module()
        shape = self.shape
        unit = min(self.writers.values())
        bits = 8 * shape.word_bytes
        rows = [
            [Bank(words=shape.bank_words, word_bits=bits, granularity=8 * unit) for _ in range(shape.banks)]
            for _ in range(shape.rows)
        ]
        for row, banks in enumerate(rows):
            for number, bank in enumerate(banks):
                m.submodules[f"r{row}_b{number}"] = bank
        asked = {name: self._asked(m, name) for name in self.readers}
        for number, column in enumerate(zip(*rows, strict=True)):
            self._read(m, asked, number, column)
            self._write(m, number, column, unit)
        for name, width in self.readers.items():
            self._answer(m, name, width, asked[name], rows)
        return m

    def _fields(self, address: Any, width: int) -> tuple[Any, Any]:
        """(unit within the word, word within the bank) of an address in units of `width` bytes."""
        sub = log2(self.shape.word_bytes // width)
        return address[:sub], address[sub : len(address) - log2(self.shape.banks)]

    def _asked(self, m: Module, name: str) -> tuple[Signal, Signal]:
        """Registers: the grant and the address of a cycle ago."""
        reader = getattr(self, name)
        granted = Signal(self.shape.banks, name=f"{name}_asked")
        address = Signal(len(reader.address), name=f"{name}_place", reset_less=True)
        m.d.sync += [granted.eq(reader.granted), address.eq(reader.address)]
        return granted, address

    def _read(self, m: Module, asked: Mapping[str, tuple[Any, Any]], number: int, column: tuple[Bank, ...]) -> None:
        """The address of whoever reads this bank: of at most one."""
        address: Any = Const(0, range(self.shape.bank_words))
        for name, width in self.readers.items():
            granted, place = asked[name]
            word = self._fields(place, width)[1]
            address |= word & granted[number].replicate(len(word))
        enable = Cat(granted[number] for granted, _ in asked.values()).any()
        for bank in column:
            m.d.comb += [bank.read_enable.eq(enable), bank.read_address.eq(address)]

    def _answer(self, m: Module, name: str, width: int, asked: tuple[Any, Any], rows: list[list[Bank]]) -> None:
        """Steer the banks' outputs to the reader."""
        reader, sub = getattr(self, name), self._fields(asked[1], width)[0]
        select1 = Signal(self.shape.banks, name=f"{name}_select1", reset_less=True)
        select2 = Signal(self.shape.banks, name=f"{name}_select2", reset_less=True)
        sub1 = Signal(len(sub), name=f"{name}_sub1", reset_less=True)
        sub2 = Signal(len(sub), name=f"{name}_sub2", reset_less=True)
        m.d.sync += [select1.eq(asked[0]), select2.eq(select1), sub1.eq(sub), sub2.eq(sub1)]
        for row, banks in enumerate(rows):
            word = Signal(8 * self.shape.word_bytes, name=f"{name}_word{row}")
            if len(banks) == 1:
                m.d.comb += word.eq(banks[0].read_data)
            else:
                for b, bank in enumerate(banks):
                    with m.If(select2[b]):
                        m.d.comb += word.eq(bank.read_data)
            m.d.comb += reader.data[row].eq(word.word_select(sub2, 8 * width))

    def _write(self, m: Module, number: int, column: tuple[Bank, ...], unit: int) -> None:
        """The word, its place and the bytes to change of whoever writes this bank."""
        shape = self.shape
        for n, (name, width) in enumerate(self.writers.items()):
            writer = getattr(self, name)
            granted = writer.granted[number]
            sub, word = self._fields(writer.address, width)
            enable = Cat(sub == u * unit // width for u in range(shape.word_bytes // unit))
            for row, bank in enumerate(column):
                content = writer.data[row].replicate(shape.word_bytes // width)
                place = [bank.write_address.eq(word), bank.write_data.eq(content)]
                with m.If(granted) if n else nullcontext():
                    m.d.comb += place
                with m.If(granted & writer.rows[row]):
                    m.d.comb += bank.write_enable.eq(enable)
