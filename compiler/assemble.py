"""A partitioned graph becomes a program: memory plan, instructions, host code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..config import Config
from ..isa.instruction import Instruction
from ..isa.program import Buffer, Call, Layer, Program, Resident, Run, Segment, Tensor, encode_instructions
from . import host
from .core_run import schedule_run
from .graph import Graph, Node
from .host_calls import HostCall, is_large, lower_host_call
from .ops import find_operator
from .ops.registry import shown_name
from .placement import Part, Placement
from .schedule.decision import Decisions, Schedule
from .schedule.scope import ACTIVATIONS, CONSTANTS, ConstantPool

__all__ = ["Core", "HostTarget", "assemble", "assemble_core"]


@dataclass(frozen=True)
class HostTarget:
    """Whom host code is for, in LLVM's terms; this machine where None."""

    triple: str | None = None
    cpu: str | None = None
    features: str | None = None


def assemble(graph: Graph, config: Config, target: HostTarget, schedule: Schedule | None = None) -> Program:
    """The program of `graph`, whose nodes have targets; `schedule` is by default all heuristic."""
    return _Assembler(graph, config, target, schedule or Schedule()).run()


@dataclass(frozen=True)
class Core:
    """What the accelerator does in a program, and what its schedules decided.

    Members
    -------
    program
        Its runs alone, without host code; instructions and addresses are those of the whole.
    """

    program: Program
    placement: Placement
    decisions: Decisions


def assemble_core(graph: Graph, config: Config, schedule: Schedule | None = None) -> Core:
    """As :func:`assemble`, without code for the host: for asking how long it takes."""
    assembler = _Assembler(graph, config, HostTarget(), schedule or Schedule())
    return Core(assembler.run(calls=False), assembler.placement, assembler.decisions)


class _Assembler:
    def __init__(self, graph: Graph, config: Config, target: HostTarget, schedule: Schedule) -> None:
        self.graph = graph
        self.config = config
        self.target = target
        self.decisions = Decisions(schedule.layers)
        self.placement = Placement(graph, config, schedule)
        self.constants = ConstantPool()
        self.instructions: list[Instruction] = []
        self.calls: list[HostCall] = []
        self.steps: list[Run | Call] = []
        self.layers: list[Layer] = []
        self.workspace = 0
        self.placed: dict[str, int] = {}
        self.results: set[str] = set()

    def run(self, *, calls: bool = True) -> Program:
        for part in self.placement.parts:
            if part.target == "accelerator":
                self._add_run(part)
            else:
                self._add_call(part)
        if not calls:
            steps = tuple(step for step in self.steps if isinstance(step, Run))
            code = encode_instructions(self.instructions)
            return Program(config=self.config, instructions=code, segments=self._segments(), steps=steps)
        functions = [call.function for call in self.calls]
        host_code = None
        if functions:
            target = self.target
            host_code = host.build(functions, triple=target.triple, cpu=target.cpu, features=target.features)
        return Program(
            config=self.config,
            instructions=encode_instructions(self.instructions),
            segments=self._segments(),
            buffers=tuple(self._buffers()),
            inputs=tuple(self._user_tensor(name) for name in self.graph.inputs),
            outputs=tuple(self._user_tensor(name) for name in self.graph.outputs),
            steps=tuple(self.steps),
            layers=tuple(self.layers),
            host=host_code,
        )

    def _add_run(self, part: Part) -> None:
        run, ends = schedule_run(self.placement, part.first, part.nodes, self.constants, self.decisions)
        first = len(self.instructions)
        self.instructions += run
        self.steps.append(Run(first=first, count=len(run)))
        for node, start, end in zip(part.nodes, [0, *ends], ends, strict=False):
            self.layers.append(self._layer(node, first + start, end - start))

    def _layer(self, node: Node, first: int, count: int) -> Layer:
        results = [self.graph.values[name] for name in node.outputs]
        macs = find_operator(node).macs(node, self.graph.arguments(node), results)
        operator = shown_name(node)
        seen = tuple(tensor for name in node.outputs if (tensor := self._result(name)) is not None)
        return Layer(
            name=node.name, operator=operator, target=node.target, macs=macs, first=first, count=count, results=seen
        )

    def _result(self, name: str) -> Tensor | None:
        """What a node computes, where it can be seen: not in the middle of a host function."""
        blocked = self.placement.tensors.get(name)
        if blocked is None:
            known = name in self.graph.outputs or name in self.results
            return self._user_tensor(name) if known else None
        tensor = replace(self._user_tensor(name), block=self.config.channels)
        if blocked.stored:
            return tensor
        assert blocked.resident is not None
        place, pixel = blocked.resident, blocked.pixel
        first = place.base + (place.top * place.width + place.left) * pixel
        return replace(
            tensor,
            buffer="",
            resident=Resident(base=first, row=place.width * pixel, image=place.height * place.width * pixel),
        )

    def _add_call(self, part: Part) -> None:
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
        call = lower_host_call(symbol, self.graph, part.nodes, self.placement.blocked, results, self.config.channels)
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
        self.results.update(call.outputs)
        self.layers += [self._layer(node, len(self.steps), 1) for node in part.nodes]
        self.steps.append(Call(symbol=symbol, arguments=tuple(arguments)))

    def _segments(self) -> tuple[Segment, ...]:
        data = bytes(self.constants.data)
        return (
            Segment(name="constants", size=len(data), role="constants", data=data),
            Segment(name="activations", size=self.placement.activation_bytes, role="activations"),
        )

    def _buffers(self) -> Iterator[Buffer]:
        for name in self.placement.stored:
            tensor = self.placement.tensors[name]
            yield Buffer(name=name, size=tensor.nbytes, segment=ACTIVATIONS, offset=tensor.offset)
        handed = (name for call in self.calls for name in (*call.inputs, *call.outputs))
        users = (*self.graph.inputs, *self.graph.outputs)
        for name in dict.fromkeys((*handed, *users)):
            if name in self.placed:
                size = self.graph.values[name].data.nbytes  # type: ignore[union-attr]
                yield Buffer(name=name, size=size, segment=CONSTANTS, offset=self.placed[name])
            elif name not in self.placement.tensors:
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
