"""Packs parts of cells into bus words with byte strobes."""

from collections.abc import Iterable
from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from .signatures import log2

__all__ = ["Packer", "Piece"]


class Piece(data.StructLayout):
    """Bytes for a bus word.

    Members
    -------
    data
        The bytes, at the bottom.
    lane
        Where they go.
    unit
        How many they are: the position in the packer's `units`.
    end
        The word is complete with them.
    """

    def __init__(self, bus_bytes: int, units: int) -> None:
        super().__init__({"data": 8 * bus_bytes, "lane": log2(bus_bytes), "unit": range(max(units, 2)), "end": 1})


class Packer(Component):
    """Never makes either side wait.

    Parameters
    ----------
    units
        Sizes of pieces in bytes, powers of two up to the bus width.

    Members
    -------
    piece
        Each is accepted at once.
    word
        Bytes and strobes, the cycle after their last piece; must be accepted at once.
    """

    def __init__(self, *, bus_bytes: int, units: Iterable[int]) -> None:
        self._bus_bytes, self._units = bus_bytes, tuple(units)
        word = data.StructLayout({"data": 8 * bus_bytes, "strobe": bus_bytes})
        super().__init__(
            {
                "piece": In(stream.Signature(Piece(bus_bytes, len(self._units)), always_ready=True)),
                "word": Out(stream.Signature(word, always_ready=True)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        size, piece = self._bus_bytes, self.piece
        begun = Signal()
        hit, strobe = Signal(size), Signal(size, reset_less=True)
        spread, content = Signal(8 * size), Signal(8 * size, reset_less=True)
        with m.Switch(piece.p.unit):
            for number, unit in enumerate(self._units):
                with m.Case(number):
                    slot = piece.p.lane >> log2(unit)
                    m.d.comb += spread.eq(Cat([piece.p.data[: 8 * unit]] * (size // unit)))
                    m.d.comb += hit.eq(Cat([(slot == byte // unit) for byte in range(size)]))
        with m.If(piece.valid):
            m.d.sync += [begun.eq(~piece.p.end), strobe.eq(hit | Mux(begun, strobe, 0))]
            for byte in range(size):
                with m.If(hit[byte]):
                    m.d.sync += content.word_select(byte, 8).eq(spread.word_select(byte, 8))
        m.d.sync += self.word.valid.eq(piece.valid & piece.p.end)
        m.d.comb += [self.word.p.data.eq(content), self.word.p.strobe.eq(strobe)]
        return m
