"""A partitioned graph becomes a program: memory plan, instructions, host code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ..config import Config
from ..isa.instruction import Instruction
from ..isa.program import Buffer, Call, Layer, Program, Run, Segment, Tensor, encode_instructions
from . import host
from .graph import Graph, Node
from .host_calls import HostCall, is_large, lower_host_call
from .on_chip import divide
from .ops import find_operator
from .ops.registry import shown_name
from .schedule.builder import ProgramBuilder
from .schedule.layout import Blocked, image_shape, pack
from .schedule.memory_plan import Lifetime, plan_memory
from .schedule.pipeline import LayerWork, emit_layers
from .schedule.places import surround
from .schedule.scope import ACTIVATIONS, CONSTANTS, ConstantPool, OnChip, Scope

__all__ = ["HostTarget", "assemble"]


@dataclass(frozen=True)
class HostTarget:
    """Whom host code is for, in LLVM's terms; this machine where None."""

    triple: str | None = None
    cpu: str | None = None
    features: str | None = None


@dataclass(frozen=True)
class _Part:
    """Consecutive nodes with one target; `first` is the place of the first of them in the graph."""

    target: str
    nodes: tuple[Node, ...]
    first: int

    @property
    def last(self) -> int:
        return self.first + len(self.nodes) - 1


def assemble(graph: Graph, config: Config, target: HostTarget) -> Program:
    """The program of `graph`, whose nodes have targets."""
    return _Assembler(graph, config, target).run()


class _Assembler:
    def __init__(self, graph: Graph, config: Config, target: HostTarget) -> None:
        self.graph = graph
        self.config = config
        self.target = target
        self.parts = list(_parts(graph))
        self.constants = ConstantPool()
        touched = dict.fromkeys(
            name
            for part in self.parts
            if part.target == "accelerator"
            for node in part.nodes
            for name in (*node.inputs, *node.outputs)
        )
        self.blocked = [name for name in touched if graph.values[name].data is None]
        self.divisions = {
            part.first: divide(graph, part.nodes, config) for part in self.parts if part.target == "accelerator"
        }
        self.residents = {name: place for d in self.divisions.values() for name, place in d.residents.items()}
        self.stored = [name for name in self.blocked if name not in self.residents or self._leaves(name)]
        offsets, self.activation_bytes = plan_memory([self._lifetime(name) for name in self.stored])
        self.tensors = {name: self._tensor(name, ACTIVATIONS, offsets.get(name, 0)) for name in self.blocked}
        self.instructions: list[Instruction] = []
        self.calls: list[HostCall] = []
        self.steps: list[Run | Call] = []
        self.layers: list[Layer] = []
        self.workspace = 0
        self.placed: dict[str, int] = {}

    def run(self) -> Program:
        for part in self.parts:
            if part.target == "accelerator":
                self._add_run(part)
            else:
                self._add_call(part)
        functions = [call.function for call in self.calls]
        code = None
        if functions:
            target = self.target
            code = host.build(functions, triple=target.triple, cpu=target.cpu, features=target.features)
        return Program(
            config=self.config,
            instructions=encode_instructions(self.instructions),
            segments=self._segments(),
            buffers=tuple(self._buffers()),
            inputs=tuple(self._user_tensor(name) for name in self.graph.inputs),
            outputs=tuple(self._user_tensor(name) for name in self.graph.outputs),
            steps=tuple(self.steps),
            layers=tuple(self.layers),
            host=code,
        )

    def _lifetime(self, name: str) -> Lifetime:
        places = []
        for part in self.parts:
            for place, node in enumerate(part.nodes, part.first):
                if name in node.inputs or name in node.outputs:
                    places += [place] if part.target == "accelerator" else [part.first, part.last]
        return Lifetime(name, self._tensor(name, ACTIVATIONS, 0).nbytes, min(places), max(places))

    def _tensor(self, name: str, segment: int, offset: int) -> Blocked:
        shape = image_shape(self.graph.values[name].known_shape)
        return Blocked(shape, segment, offset, self.config, self.residents.get(name), name in self.stored)

    def _leaves(self, name: str) -> bool:
        """Whether others than the part that makes `name` need it."""
        made = next(part for part in self.parts if any(name in node.outputs for node in part.nodes))
        inside = set(map(id, made.nodes))
        return name in self.graph.outputs or any(id(node) not in inside for node in self.graph.consumers.get(name, []))

    def _add_run(self, part: _Part) -> None:
        builder = ProgramBuilder(self.config, [0, self.activation_bytes], constant=[CONSTANTS])
        division = self.divisions[part.first]
        memories = OnChip(self.config, division.constants)
        scope = Scope(self.config, builder, memories, self.constants, self.tensors, self.graph)
        work = []
        for node in part.nodes:
            self._place_constant_terms(node)
            scope.layer, scope.items = node.name, []
            memories.divide(division.limits[node.name])
            for name in node.outputs:
                scope.items += [item for item in (surround(scope, self.tensors[name]),) if item is not None]
            find_operator(node).schedule(node, scope)
            work.append(LayerWork(node.name, tuple(scope.items)))
        ends = emit_layers(builder, work)
        first = len(self.instructions)
        self.instructions += builder.finish()
        self.steps.append(Run(first=first, count=len(self.instructions) - first))
        for node, start, end in zip(part.nodes, [0, *ends], ends, strict=False):
            self.layers.append(self._layer(node, first + start, end - start))

    def _place_constant_terms(self, node: Node) -> None:
        """A sum's or product's constant term lies in blocks among the constants."""
        for name in node.inputs if find_operator(node).blocked_constants else ():
            data = self.graph.constant(name)
            if data is not None and name not in self.tensors:
                offset = self.constants.add(pack(data, self.config.channels).tobytes())
                self.tensors[name] = self._tensor(name, CONSTANTS, offset)

    def _layer(self, node: Node, first: int, count: int) -> Layer:
        results = [self.graph.values[name] for name in node.outputs]
        macs = find_operator(node).macs(node, self.graph.arguments(node), results)
        operator = shown_name(node)
        return Layer(name=node.name, operator=operator, target=node.target, macs=macs, first=first, count=count)

    def _add_call(self, part: _Part) -> None:
        inside = set(map(id, part.nodes))
        results = [
            name
            for node in part.nodes
            for name in node.outputs
            if name in self.graph.outputs
            or any(id(reader) not in inside for reader in self.graph.consumers.get(name, []))
        ]
        if all(0 in self.graph.values[name].known_shape for name in results):
            return
        symbol = f"host{len(self.calls)}"
        call = lower_host_call(symbol, self.graph, part.nodes, self.blocked, results, self.config.channels)
        arguments = [*call.inputs, *call.outputs]
        if call.function.workspace_bytes:
            self.workspace = max(self.workspace, call.function.workspace_bytes)
            arguments.append(_WORKSPACE)
        for name in call.inputs:
            if is_large(self.graph, name) and name not in self.placed:
                data = self.graph.constant(name)
                assert data is not None
                self.placed[name] = self.constants.add(np.ascontiguousarray(data).tobytes())
        self.calls.append(call)
        self.layers += [self._layer(node, len(self.steps), 1) for node in part.nodes]
        self.steps.append(Call(symbol=symbol, arguments=tuple(arguments)))

    def _segments(self) -> tuple[Segment, ...]:
        data = bytes(self.constants.data)
        return (
            Segment(name="constants", size=len(data), role="constants", data=data),
            Segment(name="activations", size=self.activation_bytes, role="activations"),
        )

    def _buffers(self) -> Iterator[Buffer]:
        for name in self.stored:
            tensor = self.tensors[name]
            yield Buffer(name=name, size=tensor.nbytes, segment=ACTIVATIONS, offset=tensor.offset)
        handed = (name for call in self.calls for name in (*call.inputs, *call.outputs))
        users = (*self.graph.inputs, *self.graph.outputs)
        for name in dict.fromkeys((*handed, *users)):
            if name in self.placed:
                size = self.graph.values[name].data.nbytes  # type: ignore[union-attr]
                yield Buffer(name=name, size=size, segment=CONSTANTS, offset=self.placed[name])
            elif name not in self.tensors:
                value = self.graph.values[name]
                size = int(value.known_dtype.itemsize)
                for extent in value.known_shape:
                    size *= extent
                yield Buffer(name=name, size=size)
        if self.workspace:
            yield Buffer(name=_WORKSPACE, size=self.workspace)

    def _user_tensor(self, name: str) -> Tensor:
        value = self.graph.values[name]
        meaning = value.quantisation
        return Tensor(
            name=name,
            shape=value.known_shape,
            dtype=value.known_dtype.name,
            buffer=name,
            scale=meaning.scale if meaning else None,
            zero_point=meaning.zero_point if meaning else None,
        )


_WORKSPACE = "(workspace)"
_LONGEST_CALL = 256  # nodes of a host function


def _parts(graph: Graph) -> Iterator[_Part]:
    first = 0
    for target, members in groupby(graph.nodes, key=lambda node: node.target):
        nodes: Sequence[Node] = tuple(members)
        step = _LONGEST_CALL if target == "host" else len(nodes)
        for start in range(0, len(nodes), step):
            part = nodes[start : start + step]
            yield _Part(target, tuple(part), first)
            first += len(part)
