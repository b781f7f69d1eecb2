"""From a schedule to the loop IR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .analysis import address, affine, loads, operands, substitute
from .expr import Axis, Const, Expr, Load, Reduce, as_expr, compare
from .loops import Block, For, Function, Guard, Nest, Statement, Store
from .region import Region, needed_region, whole
from .schedule import Schedule, Split, Stage
from .tensor import Tensor, all_of

__all__ = ["lower"]


def lower(name: str, schedule: Schedule, inputs: Sequence[Tensor]) -> Function:
    """The function that computes the schedule's outputs from `inputs`.

    Raises
    ------
    ValueError
        The schedule cannot be carried out: an output inlined, a stage computed inside a loop that not all of its
        readers are in, a placeholder that is not among `inputs`.
    """
    return _Lowering(name, schedule, tuple(inputs)).function()


@dataclass
class _Loops:
    """A stage's loops over one region: what each leaf, root and guard became."""

    stage: Stage
    extents: dict[Axis, int]
    indices: tuple[Expr, ...]
    value: Expr
    guards: list[tuple[Expr, bool]]

    @property
    def leaves(self) -> list[Axis]:
        return self.stage.leaves

    def inner(self, depth: int) -> dict[Axis, int]:
        return {axis: self.extents[axis] for axis in self.leaves[depth:]}


class _Lowering:
    def __init__(self, name: str, schedule: Schedule, inputs: tuple[Tensor, ...]) -> None:
        self.name, self.schedule, self.inputs = name, schedule, inputs
        self.stages = [stage for stage in schedule.stages.values() if not stage.inlined]
        self.memory: dict[Tensor, tuple[Tensor, tuple[Expr, ...]]] = {}
        self.scratch: list[Tensor] = []

    def function(self) -> Function:
        outputs = self.schedule.outputs
        for tensor in outputs:
            stage = self.schedule[tensor]
            if stage.inlined or stage.attached:
                raise ValueError(f"output {tensor.name} must be computed at the outermost level")
        body: list[Statement] = []
        for stage in self.stages:
            if stage.attached is None:
                region = whole(stage.tensor.shape)
                self._give_memory(stage.tensor, region, scratch=stage.tensor not in outputs)
                body.append(self._nest(stage, region))
        read = {tensor for stage in self.schedule.stages.values() for tensor in stage.tensor.producers}
        for tensor in read:
            if tensor.body is None and tensor.data is None and tensor not in self.inputs:
                raise ValueError(f"{tensor.name} is read and must be among the inputs of {self.name}")
        constants = [t for stage in self.schedule.stages.values() for t in stage.tensor.producers if t.data is not None]
        return Function(
            name=self.name,
            inputs=self.inputs,
            outputs=outputs,
            scratch=tuple(self.scratch),
            constants=tuple(dict.fromkeys(constants)),
            body=Block(tuple(body)),
        )

    def _give_memory(self, tensor: Tensor, region: Region, *, scratch: bool) -> None:
        buffer = tensor
        if scratch:
            buffer = Tensor(tensor.name, region.extents, tensor.dtype)
            self.scratch.append(buffer)
        self.memory[tensor] = (buffer, region.lowest)

    def _place(self, tensor: Tensor, indices: Sequence[Expr]) -> tuple[Tensor, tuple[Expr, ...]]:
        """Buffer and indices where an element lives now."""
        if tensor.body is None:
            return tensor, tuple(indices)
        if tensor not in self.memory:
            raise ValueError(f"{tensor.name} must be computed in a loop that all its readers are in (in {self.name})")
        buffer, lowest = self.memory[tensor]
        return buffer, tuple(map(_relative, indices, lowest))

    def _inline(self, value: Expr) -> Expr:
        """With the expression of every inlined tensor in place of its loads; equal loads become one object."""
        done: dict[Load, Expr] = {}

        def replace(node: Expr) -> Expr | None:
            if not isinstance(node, Load):
                return None
            if node not in done:
                done[node] = expression(node)
            return done[node]

        def expression(node: Load) -> Expr:
            indices = tuple(substitute(index, replace) for index in node.indices)
            stage = self.schedule.stages.get(node.tensor)
            if stage is None or not stage.inlined:
                return Load(node.tensor, indices)
            assert stage.tensor.body is not None
            values = dict(zip(stage.axes, indices, strict=True))
            moved = substitute(stage.tensor.body, lambda n: values.get(n) if isinstance(n, Axis) else None)
            return substitute(moved, replace)

        return substitute(value, replace)

    def _resolve(self, value: Expr) -> Expr:
        """With loads of tensors turned into loads of the buffers they live in."""

        def replace(node: Expr) -> Expr | None:
            if not isinstance(node, Load):
                return None
            return Load(*self._place(node.tensor, [substitute(index, replace) for index in node.indices]))

        return substitute(value, replace)

    def _loops(self, stage: Stage, region: Region) -> _Loops:
        extents = dict(zip(stage.axes, region.extents, strict=True)) | {a: a.extent for a in stage.reduce_axes}
        for relation in stage.relations:
            if isinstance(relation, Split):
                whole_extent = extents[relation.parent]
                extents[relation.inner] = min(relation.factor, whole_extent)
                extents[relation.outer] = -(-whole_extent // relation.factor)
            else:
                extents[relation.fused] = extents[relation.outer] * extents[relation.inner]
        values: dict[Axis, Expr] = {a: a if extents[a] > 1 else as_expr(0) for a in stage.leaves}
        guards = []
        for relation in reversed(stage.relations):
            if isinstance(relation, Split):
                parent = values[relation.outer] * relation.factor + values[relation.inner]
                values[relation.parent] = parent
                limit = extents[relation.parent]
                if limit > relation.factor and limit % relation.factor:
                    guards.append((compare("lt", parent, limit), relation.parent.reduce))
            else:
                inner = extents[relation.inner]
                values[relation.outer] = values[relation.fused] // inner
                values[relation.inner] = values[relation.fused] % inner
        indices = tuple(values[axis] + low for axis, low in zip(stage.axes, region.lowest, strict=True))
        roots = dict(zip(stage.axes, indices, strict=True)) | {a: values[a] for a in stage.reduce_axes}
        assert stage.tensor.body is not None
        moved = substitute(stage.tensor.body, lambda n: roots.get(n) if isinstance(n, Axis) else None)
        return _Loops(stage, extents, indices, self._inline(moved), guards)

    def _nest(self, stage: Stage, region: Region) -> Statement:
        return self._level(self._loops(stage, region), 0)

    def _level(self, loops: _Loops, depth: int) -> Statement:
        if depth == len(loops.leaves):
            return self._store(loops, initial=False)
        axis, stage = loops.leaves[depth], loops.stage
        if stage.tensorized and stage.tensorized[0] is axis:
            return self._tensorize(loops, depth)
        producers = self._attached(loops, depth)
        body = self._level(loops, depth + 1)
        if producers:
            body = Block((*producers, body))
        statement = _loop(stage, axis, loops.extents[axis], body)
        if axis.reduce and not any(a.reduce for a in loops.leaves[:depth]):
            statement = Block((self._initialise(loops, depth), statement))
        return statement

    def _store(self, loops: _Loops, *, initial: bool) -> Statement:
        buffer, indices = self._place(loops.stage.tensor, loops.indices)
        value = loops.value
        if isinstance(value, Reduce):
            value = value.init if initial else value.combine(Load(loops.stage.tensor, loops.indices))
        statement: Statement = Store(buffer, indices, self._resolve(value))
        condition = all_of(*(guard for guard, reduce in loops.guards if not (reduce and initial)))
        return statement if isinstance(condition, Const) else Guard(condition, statement)

    def _initialise(self, loops: _Loops, depth: int) -> Statement:
        statement = self._store(loops, initial=True)
        for axis in reversed([a for a in loops.leaves[depth:] if not a.reduce]):
            statement = _loop(loops.stage, axis, loops.extents[axis], statement)
        return statement

    def _attached(self, loops: _Loops, depth: int) -> list[Statement]:
        """The stages computed inside loop `depth`, each for the part that the rest of its body reads."""
        here = [s for s in self.stages if s.attached and s.attached == (loops.stage.tensor, loops.leaves[depth])]
        readers = [(loops.value, loops.inner(depth + 1))]
        planned: list[tuple[Stage, Region]] = []
        for stage in reversed(here):
            found = [(load.indices, inner) for value, inner in readers for load in loads(value)
                     if load.tensor is stage.tensor]  # fmt: skip
            if not found:
                raise ValueError(f"{stage.tensor.name} must be read in the loop that it is computed in")
            inner = {axis: extent for _, part in found for axis, extent in part.items()}
            region = needed_region(stage.tensor.shape, [indices for indices, _ in found], inner)
            producer = self._loops(stage, region)
            readers.append((producer.value, producer.inner(0)))
            planned.append((stage, region))
        for stage, region in planned:
            self._give_memory(stage.tensor, region, scratch=True)
        return [self._nest(stage, region) for stage, region in reversed(planned)]

    def _tensorize(self, loops: _Loops, depth: int) -> Statement:
        stage = loops.stage
        assert stage.tensorized is not None
        axes = [axis for axis in loops.leaves[depth:] if loops.extents[axis] > 1]
        if loops.guards:
            raise ValueError(f"loops of {stage.tensor.name} must divide evenly to be tensorised")

        def access(tensor: Tensor, indices: tuple[Expr, ...]) -> tuple[Tensor, object]:
            buffer, placed = self._place(tensor, indices)
            form = address(buffer.strides, placed)
            if form is None:
                raise ValueError(f"addresses of {tensor.name} must be affine to be tensorised: {placed}")
            return buffer, form

        outer_reduce = any(axis.reduce and loops.extents[axis] > 1 for axis in loops.leaves[:depth])
        return Nest(
            intrinsic=stage.tensorized[1].name,
            axes=tuple(axes),
            bounds=tuple(loops.extents[axis] for axis in axes),
            result=access(stage.tensor, loops.indices),  # type: ignore[arg-type]
            operands=tuple(access(load.tensor, load.indices) for load in operands(loops.value)),  # type: ignore[misc]
            reduces=tuple(axis.reduce for axis in axes),
            initialise=bool(stage.reduce_axes) and not outer_reduce,
        )


def _relative(index: Expr, lowest: Expr) -> Expr:
    form = None if isinstance(lowest, Const) else affine(index - lowest)
    return index - lowest if form is None else form.expression()


def _loop(stage: Stage, axis: Axis, extent: int, body: Statement) -> Statement:
    if extent == 1:
        return body
    if stage.vector and stage.vector[0] is axis:
        return _strips(axis, extent, stage.vector[1], body)
    return For(axis, extent, body, "unroll" if axis in stage.unrolled else "serial")


def _strips(axis: Axis, extent: int, lanes: int, body: Statement) -> Statement:
    """Whole vectors, then the rest one by one."""
    lanes = min(lanes, 1 << (extent.bit_length() - 1))
    count, rest = divmod(extent, lanes)
    strip, lane = Axis(f"{axis.name}.s", count), Axis(f"{axis.name}.v", lanes)
    start = strip * lanes if count > 1 else as_expr(0)
    main: Statement = For(lane, lanes, _moved(body, axis, start + lane), "vector")
    if count > 1:
        main = For(strip, count, main)
    if not rest:
        return main
    tail = Axis(f"{axis.name}.t", rest)
    last = _moved(body, axis, tail + count * lanes if rest > 1 else as_expr(count * lanes))
    return Block((main, For(tail, rest, last) if rest > 1 else last))


def _moved(statement: Statement, axis: Axis, value: Expr) -> Statement:
    """The statement with `value` for `axis`."""

    def move(expr: Expr) -> Expr:
        return substitute(expr, lambda node: value if node is axis else None)

    if isinstance(statement, Store):
        return Store(statement.buffer, tuple(map(move, statement.indices)), move(statement.value))
    if isinstance(statement, Guard):
        return Guard(move(statement.condition), _moved(statement.body, axis, value))
    if isinstance(statement, Block):
        return Block(tuple(_moved(inner, axis, value) for inner in statement.body))
    if isinstance(statement, For):
        return For(statement.axis, statement.extent, _moved(statement.body, axis, value), statement.kind)
    raise ValueError(f"{axis.name} must not be vectorised around a tensorised nest")
