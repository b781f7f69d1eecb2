"""The accumulators' update: adds the array's sums to what memory said, or to a younger result."""

from typing import Any

from amaranth import Module, Signal
from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

__all__ = ["FORWARDS", "Accumulate"]

FORWARDS = 3


class Accumulate(Component):
    """``result = sums + (0, or a result of the last FORWARDS steps, or what was read)``, modulo 2^32.

    Parameters
    ----------
    rows, lanes
        Accumulators that are updated at once.
    sum_bits
        Width of a sum.

    Members
    -------
    valid
        Bit 0: the inputs hold a step; bits 1 and 2: they did so one and two cycles ago.
    overwrite
        Nothing is added to.
    forward
        Bit n: the step that was n + 1 steps ago updated the same accumulators; the lowest counts.
    stored
        The accumulators as they were read.
    sums
        What to add.
    result
        The last step's, a cycle after it.
    """

    def __init__(self, *, rows: int, lanes: int, sum_bits: int) -> None:
        self._rows, self._lanes = rows, lanes
        cells = data.ArrayLayout(32 * lanes, rows)
        super().__init__(
            {
                "valid": In(FORWARDS),
                "overwrite": In(1),
                "forward": In(FORWARDS),
                "stored": In(cells),
                "sums": In(data.ArrayLayout(data.ArrayLayout(signed(sum_bits), lanes), rows)),
                "result": Out(cells),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        results = [Signal(self.result.shape(), name=f"result{n}", reset_less=True) for n in range(FORWARDS)]
        m.d.comb += self.result.eq(results[0])
        for row in range(self._rows):
            old = Signal(32 * self._lanes, name=f"old{row}")
            with m.If(self.overwrite):
                m.d.comb += old.eq(0)
            for n in range(FORWARDS):
                with m.Elif(self.forward[n]):
                    m.d.comb += old.eq(results[n][row])
            with m.Else():
                m.d.comb += old.eq(self.stored[row])
            with m.If(self.valid[0]):
                for lane in range(self._lanes):
                    total = old.word_select(lane, 32).as_signed() + self.sums[row][lane]
                    m.d.sync += results[0][row].word_select(lane, 32).eq(total)
        for n in range(1, FORWARDS):
            with m.If(self.valid[n]):
                m.d.sync += results[n].eq(results[n - 1])
        return m
