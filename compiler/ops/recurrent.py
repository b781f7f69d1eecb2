"""RNN, GRU and LSTM, unrolled step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import te
from ..graph import Node
from .derived import DerivedOperator, Expr, Tensors, given, optional
from .registry import operator, refuse

__all__: list[str] = []

_MOST_STEPS = 256
_ACTIVATIONS: dict[str, Callable[[Expr], Expr]] = {
    "Sigmoid": te.sigmoid,
    "Tanh": te.tanh,
    "Relu": lambda x: te.maximum(x, 0.0),
}
_DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class _Direction:
    """One direction of a layer: its number in the weights, whether it runs backwards, and its activations."""

    node: Node
    arguments: Tensors
    number: int
    backwards: bool
    functions: tuple[Callable[[Expr], Expr], ...]

    @property
    def x(self) -> te.Tensor:
        """(steps, batch, inputs)"""
        data = given(self.node, self.arguments)
        if not self.node.get("layout", 0):
            return data
        return te.compute((data.shape[1], data.shape[0], data.shape[2]), lambda t, b, i: data[b, t, i])

    def start(self, position: int, batch: int, hidden: int) -> te.Tensor:
        """The initial state, (batch, hidden)."""
        state, d = optional(self.arguments, position), self.number
        if state is None:
            return te.compute((batch, hidden), lambda *_: te.Const(0.0, given(self.node, self.arguments).dtype))
        if self.node.get("layout", 0):
            return te.compute((batch, hidden), lambda b, h: state[b, d, h])
        return te.compute((batch, hidden), lambda b, h: state[d, b, h])

    def time(self, step: int, b: Expr, steps: int) -> Expr:
        """Which of the inputs `step` reads."""
        if not self.backwards:
            return te.Const(step, "int64")
        lengths = optional(self.arguments, 4)
        if lengths is None:
            return te.Const(steps - 1 - step, "int64")
        return te.clamp(lengths[b].astype("int64") - (step + 1), 0, steps - 1)

    def live(self, step: int, b: Expr) -> Expr:
        lengths = optional(self.arguments, 4)
        return te.Const(True, "bool") if lengths is None else lengths[b].astype("int64") > step

    def bias(self, gate: Any, *, recurrent: bool, gates: int) -> Any:
        table = optional(self.arguments, 3)
        return 0.0 if table is None else table[self.number, gate + (gates if recurrent else 0)]

    def limited(self, x: Expr) -> Expr:
        clip = self.node.get("clip", 0.0)
        return te.clamp(x, -clip, clip) if clip else x


def _step(line: _Direction, x: te.Tensor, h: te.Tensor, c: te.Tensor | None, step: int) -> tuple[te.Tensor, Any]:
    """(hidden, cell) after one step."""
    node, d = line.node, line.number
    w, r = given(node, line.arguments, 1), given(node, line.arguments, 2)
    steps, batch, inputs = x.shape
    hidden, gates = r.shape[2], r.shape[1]
    i, k = te.reduce_axis(inputs), te.reduce_axis(hidden)
    fed = te.compute((batch, gates), lambda b, g: te.sum(x[line.time(step, b, steps), b, i] * w[d, g, i], i))
    back = te.compute((batch, gates), lambda b, g: te.sum(h[b, k] * r[d, g, k], k))

    def gate(b: Expr, place: Any) -> Expr:
        biases = line.bias(place, recurrent=False, gates=gates) + line.bias(place, recurrent=True, gates=gates)
        total: Expr = fed[b, place] + back[b, place] + biases
        return total

    if node.operator == "LSTM":
        assert c is not None
        return _lstm(line, gate, h, c, step)
    if node.operator == "GRU":
        return _gru(line, fed, back, h, step), None
    active = line.functions[0]

    def element(b: Expr, j: Expr) -> Expr:
        return te.where(line.live(step, b), active(line.limited(gate(b, j))), h[b, j])

    return te.compute(h.shape, element), None


def _lstm(
    line: _Direction, gate: Callable[[Expr, Any], Expr], h: te.Tensor, c: te.Tensor, step: int
) -> tuple[te.Tensor, te.Tensor]:
    hidden, peephole = h.shape[1], optional(line.arguments, 7)
    inner, squash, outer = line.functions

    def peeked(b: Expr, j: Expr, which: int, cell: Expr) -> Expr:
        value = gate(b, j + (0, 1, 2)[which] * hidden)
        if peephole is not None:
            value = value + peephole[line.number, j + which * hidden] * cell
        return line.limited(value)

    def cell(b: Expr, j: Expr) -> Expr:
        enter = inner(peeked(b, j, 0, c[b, j]))
        forget = 1.0 - enter if line.node.get("input_forget", 0) else inner(peeked(b, j, 2, c[b, j]))
        fresh = forget * c[b, j] + enter * squash(line.limited(gate(b, j + 3 * hidden)))
        return te.where(line.live(step, b), fresh, c[b, j])

    cells = te.compute(c.shape, cell)

    def result(b: Expr, j: Expr) -> Expr:
        value = inner(peeked(b, j, 1, cells[b, j])) * outer(cells[b, j])
        return te.where(line.live(step, b), value, h[b, j])

    return te.compute(h.shape, result), cells


def _gru(line: _Direction, fed: te.Tensor, back: te.Tensor, h: te.Tensor, step: int) -> te.Tensor:
    hidden, gates = h.shape[1], 3 * h.shape[1]
    node, r = line.node, given(line.node, line.arguments, 2)
    inner, squash = line.functions

    def open_(b: Expr, j: Expr, which: int) -> Expr:
        place = j + which * hidden
        biases = line.bias(place, recurrent=False, gates=gates) + line.bias(place, recurrent=True, gates=gates)
        return inner(line.limited(fed[b, place] + back[b, place] + biases))

    kept = te.compute(h.shape, lambda b, j: open_(b, j, 1) * h[b, j])
    k = te.reduce_axis(hidden)
    after = te.compute(h.shape, lambda b, j: te.sum(kept[b, k] * r[line.number, j + 2 * hidden, k], k))

    def element(b: Expr, j: Expr) -> Expr:
        place = j + 2 * hidden
        recurrent = line.bias(place, recurrent=True, gates=gates)
        if node.get("linear_before_reset", 0):
            remembered = open_(b, j, 1) * (back[b, place] + recurrent)
        else:
            remembered = after[b, j] + recurrent
        fresh = squash(line.limited(fed[b, place] + remembered + line.bias(place, recurrent=False, gates=gates)))
        update = open_(b, j, 0)
        return te.where(line.live(step, b), (1.0 - update) * fresh + update * h[b, j], h[b, j])

    return te.compute(h.shape, element)


@operator("RNN", "GRU", "LSTM")
class Recurrent(DerivedOperator):
    """Y of every step (0 beyond a sequence's end), and the last hidden (and cell) state."""

    def expression(self, node: Node, arguments: Tensors) -> list[te.Tensor]:
        lines = _directions(node, arguments)
        steps, batch, _ = lines[0].x.shape
        hidden = given(node, arguments, 2).shape[2]
        _require_shapes(node, arguments, lines[0].x.shape, len(lines), hidden)
        if steps > _MOST_STEPS:
            raise refuse(node, f"its sequence must have at most {_MOST_STEPS} steps, not {steps}")
        every: list[list[te.Tensor]] = []
        cells: list[te.Tensor | None] = []
        for line in lines:
            x, h = line.x, line.start(5, batch, hidden)
            c = line.start(6, batch, hidden) if node.operator == "LSTM" else None
            trail = []
            for step in range(steps):
                h, c = _step(line, x, h, c, step)
                trail.append(h)
            every.append(trail)
            cells.append(c)
        last = [trail[-1] for trail in every]
        results = [_sequence(node, lines, every), _states(node, last)]
        return [*results, _states(node, cells)] if node.operator == "LSTM" else results


def _require_shapes(node: Node, arguments: Tensors, image: tuple[int, ...], directions: int, hidden: int) -> None:
    """Refuse weights, biases and states that do not fit the input (steps, batch, inputs)."""
    _, batch, inputs = image
    gates = _GATES[node.operator] * hidden
    state = (batch, directions, hidden) if node.get("layout", 0) else (directions, batch, hidden)
    wanted = {
        1: (directions, gates, inputs),
        2: (directions, gates, hidden),
        3: (directions, 2 * gates),
        4: (batch,),
        5: state,
        6: state,
        7: (directions, 3 * hidden),
    }
    for position, shape in wanted.items():
        tensor = optional(arguments, position)
        if tensor is not None and tensor.shape != shape:
            raise refuse(node, f"its input {position} must be {list(shape)}, not {list(tensor.shape)}")


def _directions(node: Node, arguments: Tensors) -> list[_Direction]:
    ways = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    if (direction := node.get("direction", "forward")) not in ways:
        raise refuse(node, f"its direction must be one of {', '.join(ways)}, not {direction}")
    names = list(node.get("activations", _DEFAULTS[node.operator] * len(ways[direction])))
    count = len(_DEFAULTS[node.operator])
    for name in names:
        if name not in _ACTIVATIONS:
            raise refuse(node, f"its activations must be of {', '.join(_ACTIVATIONS)}, not {name}")
    functions = [_ACTIVATIONS[name] for name in names]
    return [
        _Direction(node, arguments, d, backwards, tuple(functions[d * count : (d + 1) * count]))
        for d, backwards in enumerate(ways[direction])
    ]


def _sequence(node: Node, lines: Sequence[_Direction], every: Sequence[Sequence[te.Tensor]]) -> te.Tensor:
    """(steps, directions, batch, hidden), or with layout 1 (batch, steps, directions, hidden)."""
    steps, (batch, hidden) = len(every[0]), every[0][0].shape

    def at(t: Expr, d: Expr, b: Expr, j: Expr) -> Expr:
        value: Expr = te.Const(0.0, every[0][0].dtype)
        for number, line in enumerate(lines):
            for step in range(steps):
                here = te.all_of(te.equal(line.time(step, b, steps), t), te.equal(d, number), line.live(step, b))
                value = te.where(here, every[number][step][b, j], value)
        return value

    if node.get("layout", 0):
        return te.compute((batch, steps, len(lines), hidden), lambda b, t, d, j: at(t, d, b, j))
    return te.compute((steps, len(lines), batch, hidden), at)


def _states(node: Node, states: Sequence[te.Tensor | None]) -> te.Tensor:
    """(directions, batch, hidden), or with layout 1 (batch, directions, hidden)."""
    present = [state for state in states if state is not None]
    batch, hidden = present[0].shape

    def at(d: Expr, b: Expr, j: Expr) -> Expr:
        value = present[0][b, j]
        for number, state in enumerate(present[1:], 1):
            value = te.where(te.equal(d, number), state[b, j], value)
        return value

    if node.get("layout", 0):
        return te.compute((batch, len(present), hidden), lambda b, d, j: at(d, b, j))
    return te.compute((len(present), batch, hidden), at)
