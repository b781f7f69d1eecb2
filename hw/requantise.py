"""The requantiser: scale by a fixed-point multiplier and round, a pipeline for every lane."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

__all__ = ["LATENCY", "Requantiser", "ScaleEntry"]

LATENCY = 6
_MAX_SHIFT = 31
_FACTOR_BITS = 18


class ScaleEntry(data.StructLayout):
    """A SCALE entry as it lies in memory."""

    def __init__(self) -> None:
        super().__init__(
            {"multiplier": signed(32), "left": 5, "left_unused": 3, "right": 5, "right_unused": 3,
             "single": 1, "mode_unused": 7, "spare": 8}
        )  # fmt: skip


class Requantiser(Component):
    """``result = requantise(value, scale)`` of docs/isa.md for `rows` × `lanes` values, LATENCY cycles later.

    Members
    -------
    valid, enable
        A value comes in; 0 in `enable` passes it through unchanged.
    value, scale, result
        `scale` is shared by the rows.
    """

    def __init__(self, *, rows: int, lanes: int, multiplier_bits: int) -> None:
        self._rows, self._lanes, self._multiplier_bits = rows, lanes, multiplier_bits
        values = data.ArrayLayout(data.ArrayLayout(signed(32), lanes), rows)
        super().__init__(
            {
                "valid": In(1),
                "enable": In(1),
                "value": In(values),
                "scale": In(data.ArrayLayout(ScaleEntry(), lanes)),
                "result": Out(values),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        stages: list[Any] = [self.valid]
        for n in range(1, LATENCY):
            stage = Signal(name=f"valid{n}")
            m.d.sync += stage.eq(stages[-1])
            stages.append(stage)
        for lane in range(self._lanes):
            controls = self._controls(m, lane, stages)
            for row in range(self._rows):
                self._lane(m, f"{row}_{lane}", row, lane, stages, controls)
        return m

    def _controls(self, m: Module, lane: int, stages: list[Any]) -> dict[int, Any]:
        """Right shift and rounding mode beside the value, stage by stage; then also whether to add a half, and at last
        a 1 for the highest bit shifted out, and for each of the others."""
        layout = data.StructLayout({"right": 5, "single": 1})
        third = data.StructLayout({**layout.members, "nudge": 1})
        last = data.StructLayout({**layout.members, "half": _MAX_SHIFT, "sticky": _MAX_SHIFT - 1})
        entry = self.scale[lane]
        controls: dict[int, Any] = {}
        for n in range(1, 5):
            control = Signal({3: third, 4: last}.get(n, layout), name=f"control{lane}_{n}", reset_less=True)
            with m.If(stages[n - 1]):
                if n == 1:
                    with m.If(self.enable):
                        m.d.sync += [control.right.eq(entry.right), control.single.eq(entry.single)]
                    with m.Else():
                        m.d.sync += [control.right.eq(0), control.single.eq(1)]
                else:
                    before = controls[n - 1]
                    m.d.sync += [control.right.eq(before.right), control.single.eq(before.single)]
                    if n == 3:
                        m.d.sync += control.nudge.eq(~before.single | ~before.right.any())
                    if n == 4:
                        cut_off = (Const((1 << _MAX_SHIFT) - 1) >> ~before.right)[:_MAX_SHIFT]
                        m.d.sync += [control.half.eq(cut_off & ~(cut_off >> 1)), control.sticky.eq(cut_off >> 1)]
            controls[n] = control
        return controls

    def _lane(self, m: Module, name: str, row: int, lane: int, stages: list[Any], controls: dict[int, Any]) -> None:
        bits = self._multiplier_bits

        def register(stage: int, what: str, shape: Any, value: Any) -> Any:
            q = Signal(shape, name=f"{what}_{name}", reset_less=True)
            with m.If(stages[stage - 1]):
                m.d.sync += q.eq(value)
            return q

        entry = self.scale[lane]
        value = self.value[row][lane]
        x = register(1, "x", signed(32), Mux(self.enable, (value.as_unsigned() << entry.left)[:32], value).as_signed())
        # Without `enable` the factor is 1 in the fixed point's terms: it takes a bit more than the entries.
        one = Const(1 << (bits - 1), signed(bits + 1))
        multiplier = register(
            1, "multiplier", signed(bits + 1), Mux(self.enable, entry.multiplier[:bits].as_signed(), one)
        )
        terms = [
            (low + shift, register(2, f"product{low}_{shift}", signed(len(part) + len(factor)), part * factor))
            for low, part in _halves(x)
            for shift, factor in _halves(multiplier)
        ]
        settled = register(3, "settled", signed(32 + bits), _sum(terms))
        at3 = controls[3]
        high = (settled[bits - 2 :].as_signed() + at3.nudge)[1:34].as_signed()
        sign = Mux(at3.single, high[32], high[31])
        h = register(4, "high", signed(33), Cat(high[:32], sign).as_signed())
        at4 = controls[4]
        half, sticky = (h[:_MAX_SHIFT] & at4.half).any(), (h[: _MAX_SHIFT - 1] & at4.sticky).any()
        floor = register(5, "floor", signed(33), h >> at4.right)
        round_up = register(5, "round_up", 1, half & (at4.single | ~h[32] | sticky))
        m.d.comb += self.result[row][lane].eq(register(6, "rounded", signed(32), (floor + round_up)[:32]))


def _sum(terms: list[tuple[int, Any]]) -> Any:
    """Of parts of a product, each with its place. That of two low halves ends where that of the high ones begins."""
    if len(terms) == 4:
        place, high = terms[3]
        terms = [(0, Cat(terms[0][1][:place], high).as_signed()), *terms[1:3]]
    return sum(term << shift for shift, term in terms)


def _halves(value: Any) -> list[tuple[int, Any]]:
    """Signed parts of a signed value that an FPGA's multiplier takes whole, each with the place of its lowest bit."""
    if len(value) <= _FACTOR_BITS:
        return [(0, value)]
    low = _FACTOR_BITS - 2
    return [(0, Cat(value[:low], Const(0, 1)).as_signed()), (low, value[low:].as_signed())]
