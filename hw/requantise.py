"""The requantiser: scale by a fixed-point multiplier and round, a pipeline for every lane."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

__all__ = ["LATENCY", "Requantiser", "ScaleEntry"]

LATENCY = 6
_MAX_SHIFT = 31


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
        enable = Signal(name="enable1", reset_less=True)
        with m.If(stages[0]):
            m.d.sync += enable.eq(self.enable)
        for lane in range(self._lanes):
            controls = self._controls(m, lane, stages)
            for row in range(self._rows):
                self._lane(m, f"{row}_{lane}", row, lane, stages, enable, controls)
        return m

    def _controls(self, m: Module, lane: int, stages: list[Any]) -> dict[int, Any]:
        """Right shift and rounding mode beside the value, stage by stage."""
        layout = data.StructLayout({"right": 5, "single": 1})
        entry = self.scale[lane]
        controls: dict[int, Any] = {}
        for n in range(1, 5):
            control = Signal(layout, name=f"control{lane}_{n}", reset_less=True)
            with m.If(stages[n - 1]):
                if n == 1:
                    with m.If(self.enable):
                        m.d.sync += [control.right.eq(entry.right), control.single.eq(entry.single)]
                    with m.Else():
                        m.d.sync += [control.right.eq(0), control.single.eq(1)]
                else:
                    m.d.sync += control.eq(controls[n - 1])
            controls[n] = control
        return controls

    def _lane(
        self, m: Module, name: str, row: int, lane: int, stages: list[Any], enable: Signal, controls: dict[int, Any]
    ) -> None:
        bits = self._multiplier_bits

        def register(stage: int, what: str, shape: Any, value: Any) -> Any:
            q = Signal(shape, name=f"{what}_{name}", reset_less=True)
            with m.If(stages[stage - 1]):
                m.d.sync += q.eq(value)
            return q

        entry = self.scale[lane]
        value = self.value[row][lane]
        x = register(1, "x", signed(32), Mux(self.enable, (value.as_unsigned() << entry.left)[:32], value).as_signed())
        multiplier = register(1, "multiplier", signed(bits), entry.multiplier[:bits].as_signed())
        product = register(2, "product", signed(32 + bits), Mux(enable, x * multiplier, x << (bits - 1)))
        settled = register(3, "settled", signed(32 + bits), product)
        at3 = controls[3]
        nudge = Mux(~at3.single | ~at3.right.any(), Const(1 << (bits - 2)), 0)
        high = (settled + nudge)[bits - 1 : bits + 32].as_signed()
        sign = Mux(at3.single, high[32], high[31])
        h = register(4, "high", signed(33), Cat(high[:32], sign).as_signed())
        at4 = controls[4]
        wide = Signal(signed(33 + _MAX_SHIFT), name=f"wide_{name}")
        m.d.comb += wide.eq(Cat(Const(0, _MAX_SHIFT), h).as_signed() >> at4.right)
        floor = register(5, "floor", signed(33), wide[_MAX_SHIFT:])
        half, sticky = wide[_MAX_SHIFT - 1], wide[: _MAX_SHIFT - 1].any()
        round_up = register(5, "round_up", 1, half & (at4.single | ~h[32] | sticky))
        m.d.comb += self.result[row][lane].eq(register(6, "rounded", signed(32), (floor + round_up)[:32]))
