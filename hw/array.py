"""The multiplier array: rows of activations times one weight tile, pipelined."""

from typing import Any

from amaranth import Module, Signal
from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from ..config import Config

__all__ = ["MultiplierArray", "array_latency", "array_operands"]

_ADDER_INPUTS = 4
_OPERAND_STAGES = 2  # one half-way from the memories to the multipliers, and the multipliers' own


def array_latency(config: Config) -> int:
    """Cycles from a step's operands to its sums: two registers, the products, and the adder tree's levels."""
    return _OPERAND_STAGES + 1 + _levels(config.block_in)


def array_operands(config: Config) -> dict[str, Any]:
    """The array's inputs."""
    return {
        "valid": In(1),
        "act": In(data.ArrayLayout(8 * config.block_in, config.rows)),
        "wgt": In(8 * config.block_in * config.block_out),
    }


class MultiplierArray(Component):
    """``sums[r][o] = Σ_k act[r][k] · wgt[o][k]``, :func:`array_latency` cycles later.

    Members
    -------
    valid
        The inputs hold a step. The outputs say nothing of when they hold one: count the cycles.
    sum_bits
        Width of a sum.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.sum_bits = 16 + (config.block_in - 1).bit_length()
        self._levels = _levels(config.block_in)
        super().__init__(
            {
                **array_operands(config),
                "sums": Out(data.ArrayLayout(data.ArrayLayout(signed(self.sum_bits), config.block_out), config.rows)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        stages = [self.valid]
        for level in range(_OPERAND_STAGES + self._levels):
            stage = Signal(name=f"stage{level}")
            m.d.sync += stage.eq(stages[-1])
            stages.append(stage)
        act, wgt = self._operands(m, stages)
        for row in range(self._config.rows):
            for out in range(self._config.block_out):
                self._dot_product(m, row, out, (act[row], wgt), stages[_OPERAND_STAGES:])
        return m

    def _operands(self, m: Module, stages: list[Signal]) -> tuple[Any, Any]:
        """A row of activations goes to `block_out` columns far from its memory, and each weight to its place."""
        act, wgt = self.act, self.wgt
        for n in range(_OPERAND_STAGES):
            act_q = Signal(self.act.shape(), name=f"act{n}", reset_less=True)
            wgt_q = Signal(len(self.wgt), name=f"wgt{n}", reset_less=True)
            with m.If(stages[n]):
                m.d.sync += [act_q.eq(act), wgt_q.eq(wgt)]
            act, wgt = act_q, wgt_q
        return act, wgt

    def _dot_product(self, m: Module, row: int, out: int, operands: tuple[Any, Any], stages: list[Signal]) -> None:
        block_in = self._config.block_in
        terms = []
        with m.If(stages[0]):
            for k in range(block_in):
                product = Signal(signed(16), name=f"product_{row}_{out}_{k}", reset_less=True)
                x = operands[0].word_select(k, 8).as_signed()
                w = operands[1].word_select(out * block_in + k, 8).as_signed()
                m.d.sync += product.eq(x * w)
                terms.append(product)
        for level in range(self._levels):
            terms = self._add_level(m, f"sum_{row}_{out}_{level}", terms, stages[level + 1])
        m.d.comb += self.sums[row][out].eq(terms[0])

    def _add_level(self, m: Module, name: str, terms: list[Signal], stage: Signal) -> list[Signal]:
        sums = []
        with m.If(stage):
            for start in range(0, len(terms), _ADDER_INPUTS):
                group = terms[start : start + _ADDER_INPUTS]
                total = Signal(
                    signed(len(group[0]) + (len(group) - 1).bit_length()), name=f"{name}_{start}", reset_less=True
                )
                m.d.sync += total.eq(sum(group[1:], group[0]))
                sums.append(total)
        return sums


def _levels(terms: int) -> int:
    levels = 0
    while terms > 1:
        terms = -(-terms // _ADDER_INPUTS)
        levels += 1
    return levels
