"""On-chip memories: banks with one read and one write port each, shared by several engines."""

from collections.abc import Collection, Mapping
from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, Signature

from .cells import ScratchpadCells, ScratchpadShape
from .signatures import READ_LATENCY, log2

__all__ = ["Scratchpad", "ScratchpadReader", "ScratchpadWriter", "one_bank"]


def one_bank(address: Any, banks: int) -> Any:
    """A bit for each bank: that of `address`, whose high bits choose it."""
    bank = address[len(address) - log2(banks) :]
    return Const(1, 1) << bank if banks > 1 else Const(1, 1)


class ScratchpadReader(Signature):
    """Reads `width` bytes of every row at once; the address counts such units.

    `data` answers READ_LATENCY cycles after a request was accepted, and lasts one cycle. A write to the same place that
    is accepted in the cycle after the read spoils it.
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

    What was accepted is seen by any read that is accepted in the same cycle or later.
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


class Scratchpad(Component):
    """Banked memory with fixed priorities.

    Parameters
    ----------
    shape
        Its size.
    readers, writers
        Width in bytes of each client. Of those that ask for one bank, the first in the order given is served.
    agreed
        Readers that never ask for one bank at a time, and are always served.

    Members
    -------
    <client>
        ScratchpadReader or ScratchpadWriter, by the names given.
    kept
        A bit for each bank from which no others than those in `agreed` may read now; these ask for no bank without it.
    awake
        Something in it may change at the next edge.
    """

    def __init__(
        self,
        shape: ScratchpadShape,
        *,
        readers: Mapping[str, int],
        writers: Mapping[str, int],
        agreed: Collection[str] = (),
    ) -> None:
        self._shape, self._readers, self._writers = shape, dict(readers), dict(writers)
        self._agreed = frozenset(agreed)
        members: dict[str, Any] = {name: In(ScratchpadReader(shape, width)) for name, width in readers.items()}
        members |= {name: In(ScratchpadWriter(shape, width)) for name, width in writers.items()}
        super().__init__({**members, "kept": In(shape.banks), "awake": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.cells = cells = ScratchpadCells(self._shape, readers=self._readers, writers=self._writers)
        for name in self._readers:
            reader, cell = getattr(self, name), getattr(cells, name)
            m.d.comb += [cell.address.eq(reader.request.payload), reader.data.eq(cell.data)]
        for name in self._writers:
            request, cell = getattr(self, name).request, getattr(cells, name)
            m.d.comb += [getattr(cell, part).eq(request.p[part]) for part in ("address", "rows", "data")]
        self._arbitrate(m, self._readers, cells, taken=self.kept)
        self._arbitrate(m, self._writers, cells, taken=Const(0, self._shape.banks))
        asked, answering = Signal(), Signal(READ_LATENCY - 1)
        m.d.comb += asked.eq(Cat(getattr(self, n).request.valid for n in (*self._readers, *self._writers)).any())
        m.d.sync += answering.eq(Cat(asked, answering))
        m.d.comb += self.awake.eq(asked | answering.any())
        return m

    def _arbitrate(self, m: Module, clients: Mapping[str, int], cells: ScratchpadCells, taken: Any) -> None:
        count = self._shape.banks
        for name in clients:
            request = getattr(self, name).request
            wanted = Signal(count, name=f"{name}_wanted")
            granted = getattr(cells, name).granted
            free = Const(-1, count) if name in self._agreed else ~taken
            m.d.comb += [
                wanted.eq(one_bank(getattr(cells, name).address, count)),
                request.ready.eq((wanted & free).any()),
                granted.eq(wanted & free & request.valid.replicate(count)),
            ]
            if name not in self._agreed:
                claimed = Signal(count, name=f"{name}_claimed")
                m.d.comb += claimed.eq(taken | (wanted & request.valid.replicate(count)))
                taken = claimed
