"""Running a compiled program: its memory on a device, its steps, its inputs and outputs by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DeviceError, ProgramError
from ..isa.columns import column, opcodes
from ..isa.launch import DEFAULT_WATCHDOG, Launch, Outcome
from ..isa.program import Call, Layer, Program, Run, Tensor
from ..isa.table import INSTRUCTION_BYTES, INSTRUCTIONS, Engine, ErrorCode, Opcode
from .device import Device, Stoppable, Traced
from .host_memory import HostMemory
from .matching import require_same
from .mirror import SegmentMirror, aligned_bytes

if TYPE_CHECKING:
    from .host import HostFunctions

__all__ = ["Session", "StepRecord", "layers_of_step"]

_STORE = next(spec for spec in INSTRUCTIONS if spec.opcode is Opcode.STORE)


@dataclass(frozen=True)
class StepRecord:
    """What one step of a run took.

    Members
    -------
    step
        The program's Run or Call.
    layers
        Those of the program's layers that lie in it.
    seconds
        Time on this host, transfers to and from the device included.
    counters
        The core's, by the names of ``registers.COUNTERS``, as far as the device knows them; empty for a Call.
    events
        What started and retired when, where the device records it (see ``CycleSimulator.events``).
    unfinished
        Of a run that Ctrl-C has ended, where the device knows: each engine's oldest instruction that had not retired.
    """

    step: Run | Call
    layers: tuple[Layer, ...]
    seconds: float
    counters: Mapping[str, int] = field(default_factory=dict)
    events: np.ndarray | None = None
    unfinished: Mapping[Engine, int] | None = None


class Session:
    """A program loaded onto a device.

    Parameters
    ----------
    device
        None: the host alone, for a program without instructions.
    watchdog
        Cycles without progress after which the core gives up; 0: never.

    Members
    -------
    program, device
        As given.
    records
        A StepRecord for every step of the last run, as far as it came.
    interrupted
        Of the run of the core that Ctrl-C has ended: counters and events up to there.

    Raises
    ------
    DeviceError
        The device has another configuration than the program, which matters if that has instructions, or too little
        memory.
    """

    def __init__(self, program: Program, device: Device | None = None, *, watchdog: int = DEFAULT_WATCHDOG) -> None:
        if device is None:
            device = HostMemory(program.config)
        elif len(program.instructions):
            require_same(program.config, device.config, device=f"device {device.name}")
        self.program = program
        self.device = device
        self.records: list[StepRecord] = []
        self.interrupted: StepRecord | None = None
        self._traced = device if isinstance(device, Traced) else None  # which takes long to ask
        self._watchdog = watchdog
        self._segments = tuple((self._place(s.size, s.data), s.size) for s in program.segments)
        self._code = self._place(program.instructions.size, program.instructions.tobytes())
        self._buffers = {buffer.name: buffer for buffer in program.buffers}
        self._mirrors = {
            number: SegmentMirror(device, *self._segments[number])
            for number in {self._buffers[name].segment for name in self._names_seen_by_host()}
            if number is not None
        }
        self._own = {buffer.name: aligned_bytes(buffer.size) for buffer in program.buffers if buffer.segment is None}
        self._stored = [self._segments_stored(step) for step in program.steps]

    def _place(self, size: int, data: bytes) -> int:
        """Address of fresh device memory that holds `data` and then zeros."""
        address = self.device.allocate(size)
        self.device.write(address, data + bytes(size - len(data)))
        return address

    def _names_seen_by_host(self) -> set[str]:
        program = self.program
        results = (tensor for layer in program.layers for tensor in layer.results if tensor.resident is None)
        names = {tensor.buffer for tensor in (*program.inputs, *program.outputs, *results)}
        return names.union(*(step.arguments for step in program.steps if isinstance(step, Call)))

    def _segments_stored(self, step: Run | Call) -> frozenset[int]:
        if isinstance(step, Call):
            return frozenset()
        rows = self.program.instructions[step.first : step.first + step.count]
        stores = rows[opcodes(rows) == Opcode.STORE]
        return frozenset(column(stores, _STORE, "segment").tolist())

    @cached_property
    def _host(self) -> "HostFunctions":
        from .host import HostFunctions  # many programs need no linker

        assert self.program.host is not None
        return HostFunctions(self.program.host)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, as fresh arrays.

        Parameters
        ----------
        inputs
            One array for each of the program's inputs, of exactly its shape and dtype.

        Raises
        ------
        ProgramError
            An input is missing, unknown, or of another shape or dtype.
        DeviceError
            The core stopped with an error; the message names its code, the instruction and the layer.
        """
        self.begin(inputs)
        for number in range(len(self.program.steps)):
            self.perform(number)
        return self.outputs()

    def begin(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Take the inputs of a run, as :meth:`run` does; its steps are up to the caller."""
        arrays = self._checked(inputs)
        self.records = []
        for tensor in self.program.inputs:
            self._put(tensor, arrays[tensor.name])

    def perform(self, number: int, start: Callable[[Launch], Outcome] | None = None) -> None:
        """Carry out step `number` of the program.

        Parameters
        ----------
        start
            Called in the place of the device's `run`, where the step runs the core.

        Raises
        ------
        DeviceError
            As :meth:`run`.
        """
        step, layers = self.program.steps[number], layers_of_step(self.program, number)
        ran = isinstance(step, Run) and start is None
        started = perf_counter()
        self.interrupted = None
        try:
            counters = self._run(number, step, start) if isinstance(step, Run) else self._call(step)
        except KeyboardInterrupt:
            seconds = perf_counter() - started
            if ran:
                device = self.device
                unfinished = device.unfinished() if isinstance(device, Stoppable) else None
                self.interrupted = StepRecord(step, layers, seconds, device.counters, self._events(), unfinished)
            raise
        seconds = perf_counter() - started
        self.records.append(StepRecord(step, layers, seconds, counters, self._events() if ran else None))

    def _events(self) -> np.ndarray | None:
        return self._traced.events() if self._traced is not None else None

    def outputs(self) -> dict[str, np.ndarray]:
        """The program's outputs by name, as its steps so far left them."""
        return {tensor.name: self.fetch(tensor) for tensor in self.program.outputs}

    def launch(self, number: int) -> Launch:
        """How the core is started for step `number`, which must be a Run."""
        step = self.program.steps[number]
        assert isinstance(step, Run)
        return Launch(self._code + INSTRUCTION_BYTES * step.first, step.count, self._segments, self._watchdog)

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """(address on the device, bytes) of each of the program's segments."""
        return self._segments

    def _checked(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        wanted = {tensor.name: tensor for tensor in self.program.inputs}
        for name in inputs:
            if name not in wanted:
                raise ProgramError(f"input {name} is not one of the program's, which are {', '.join(wanted) or 'none'}")
        arrays = {}
        for name, tensor in wanted.items():
            if name not in inputs:
                raise ProgramError(f"input {name} ({_described(tensor.dtype, tensor.shape)}) must be given")
            array = np.asarray(inputs[name])
            if array.dtype != tensor.dtype or array.shape != tensor.shape:
                raise ProgramError(
                    f"input {name} must be {_described(tensor.dtype, tensor.shape)}, "
                    f"not {_described(array.dtype, array.shape)}"
                )
            arrays[name] = array
        return arrays

    def _memory(self, name: str) -> np.ndarray:
        """The buffer's bytes in this process, up to date."""
        buffer = self._buffers[name]
        if buffer.segment is None:
            return self._own[name]
        return self._mirrors[buffer.segment].fetch(buffer.offset, buffer.size)

    def _put(self, tensor: Tensor, array: np.ndarray) -> None:
        buffer = self._buffers[tensor.buffer]
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        content = np.ascontiguousarray(little).reshape(-1).view(np.uint8)
        if buffer.segment is None:
            self._own[buffer.name][: len(content)] = content
            return
        mirror = self._mirrors[buffer.segment]
        mirror.bytes[buffer.offset : buffer.offset + len(content)] = content
        mirror.touched(buffer.offset, len(content))

    def fetch(self, tensor: Tensor) -> np.ndarray:
        """A copy of an output or of a layer's result, as it is now; one that lies on chip alone has none."""
        content = self._memory(tensor.buffer)[: tensor.nbytes]
        elements = np.frombuffer(content.tobytes(), dtype=np.dtype(tensor.dtype).newbyteorder("<"))
        return tensor.from_stored(elements.reshape(tensor.stored_shape))

    def _run(self, number: int, step: Run, start: Callable[[Launch], Outcome] | None = None) -> Mapping[str, int]:
        for mirror in self._mirrors.values():
            mirror.push()
        launch = self.launch(number)
        try:
            if start is None:
                outcome = self.device.run(replace(launch, race_free=self.program.race_free))
            else:
                outcome = start(launch)
        finally:
            for segment in self._stored[number] & self._mirrors.keys():
                self._mirrors[segment].outdated()
        if outcome.error is not ErrorCode.NONE:
            raise DeviceError(self._failure(outcome.error, step.first + outcome.index))
        return outcome.counters

    def _failure(self, code: ErrorCode, index: int) -> str:
        inside = self.program.layer_of(index)
        of_layer = f" of layer {inside.name} ({inside.operator})" if inside else ""
        return (
            f"the program must run without error on device {self.device.name}, "
            f"but stopped with {code.name} at instruction {index}{of_layer}"
        )

    def _call(self, step: Call) -> Mapping[str, int]:
        memory = {name: self._memory(name) for name in step.arguments}
        before = {name: content.copy() for name, content in memory.items() if self._copied(name)}
        self._host.call(step.symbol, [memory[name] for name in step.arguments])
        for name, old in before.items():
            self._note_changes(name, old, memory[name])
        return {}

    def _copied(self, name: str) -> bool:
        """Whether the host works on a copy of the buffer, which then has to reach the device."""
        segment = self._buffers[name].segment
        return segment is not None and not self._mirrors[segment].in_place

    def _note_changes(self, name: str, old: np.ndarray, new: np.ndarray) -> None:
        buffer = self._buffers[name]
        changed = np.flatnonzero(old != new)
        if buffer.segment is not None and len(changed):
            first, last = int(changed[0]), int(changed[-1])
            self._mirrors[buffer.segment].touched(buffer.offset + first, last - first + 1)


def layers_of_step(program: Program, number: int) -> tuple[Layer, ...]:
    """The layers that lie in step `number` of `program`."""
    step = program.steps[number]

    def inside(layer: Layer) -> bool:
        if isinstance(step, Call):
            return layer.target == "host" and layer.first <= number < layer.first + layer.count
        return layer.target == "accelerator" and step.first <= layer.first < step.first + step.count

    return tuple(layer for layer in program.layers if inside(layer))


def _described(dtype: object, shape: Sequence[int]) -> str:
    return f"{dtype} {tuple(shape)}"
