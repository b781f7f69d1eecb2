"""The matrix engine's arithmetic: products, their sums, and the accumulators' update."""

from typing import Any

from amaranth import Module
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..config import Config
from .accumulate import FORWARDS, Accumulate
from .array import MultiplierArray, array_latency, array_operands

__all__ = ["MultiplyAccumulate"]


class MultiplyAccumulate(Component):
    """A MultiplierArray, and an Accumulate for its sums.

    Members
    -------
    valid, act, wgt
        See :class:`MultiplierArray`.
    update, overwrite, forward, stored, result
        See :class:`Accumulate`, for the sums of what came `latency` cycles before; `update` is its `valid`.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        cells = data.ArrayLayout(32 * config.block_out, config.rows)
        super().__init__(
            {
                **array_operands(config),
                "update": In(FORWARDS),
                "overwrite": In(1),
                "forward": In(FORWARDS),
                "stored": In(cells),
                "result": Out(cells),
            }
        )

    @property
    def latency(self) -> int:
        return array_latency(self.config)

    def elaborate(self, platform: Any) -> Any:
        if hasattr(platform, "get_multiply_accumulate"):
            return platform.get_multiply_accumulate(self)
        m = Module()
        m.submodules.array = array = MultiplierArray(self.config)
        m.submodules.accumulate = accumulate = Accumulate(
            rows=self.config.rows, lanes=self.config.block_out, sum_bits=array.sum_bits
        )
        m.d.comb += [getattr(array, name).eq(getattr(self, name)) for name in ("valid", "act", "wgt")]
        m.d.comb += [getattr(accumulate, name).eq(getattr(self, name)) for name in ("overwrite", "forward", "stored")]
        m.d.comb += [
            accumulate.valid.eq(self.update),
            accumulate.sums.eq(array.sums),
            self.result.eq(accumulate.result),
        ]
        return m
