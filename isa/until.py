"""A program that ends after one of its layers, with that layer's result as its output."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from ..errors import ProgramError
from .instruction import Instruction, finish, store
from .program import Buffer, Layer, Program, Run, Segment, Tensor, encode_instructions
from .stepping import SteppedRun
from .table import SEGMENTS, Memory

__all__ = ["ended_after", "find_layer", "until"]

_SEGMENT = "results"
_STRIDE_LIMIT = 1 << 15


def find_layer(program: Program, name: str) -> int:
    """The place of the layer `name` in ``program.layers``.

    Raises
    ------
    ProgramError
        There is none; the message names the most similar ones.
    """
    names = [layer.name for layer in program.layers]
    if name in names:
        return names.index(name)
    if not names:
        raise ProgramError(f"layer {name!r} can't be found: the program states no layers")
    similar = get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
    raise ProgramError(f"layer {name!r} must be one of the program's; similar ones are {', '.join(similar)}")


def until(program: Program, name: str) -> Program:
    """`program` up to and with layer `name`, whose results are its outputs.

    What only on-chip memory holds is stored to a segment of its own, in a run that follows. Everything else lies where
    it lay, and instructions keep their indices.

    Raises
    ------
    ProgramError
        There is no such layer, or its result can't be seen.
    """
    place = find_layer(program, name)
    layer = program.layers[place]
    if not layer.results:
        raise ProgramError(f"layer {name} must not end inside a host function to be seen: {_others(program)}")
    return _with_outputs(ended_after(program, place), layer.results)


def ended_after(program: Program, place: int) -> Program:
    """`program` up to and with ``program.layers[place]``, without outputs."""
    layer, layers = program.layers[place], program.layers[: place + 1]
    if layer.target == "host":
        steps = program.steps[: layer.first + layer.count]
        return replace(program, steps=steps, layers=layers, outputs=())
    number, run = next(
        (n, step) for n, step in enumerate(program.steps) if isinstance(step, Run) and _holds(step, layer)
    )
    code = _part(program, run, layer)
    return replace(
        program,
        instructions=np.concatenate([program.instructions[: run.first], code]),
        steps=(*program.steps[:number], Run(first=run.first, count=len(code))),
        layers=layers,
        outputs=(),
    )


def _others(program: Program) -> str:
    seen = [layer.name for layer in program.layers if layer.results]
    return f"take {', '.join(seen[:3])} or another that leaves it"


def _holds(run: Run, layer: Layer) -> bool:
    return run.first <= layer.first < run.first + run.count


def _part(program: Program, run: Run, layer: Layer) -> np.ndarray:
    """The instructions of `run` up to the end of `layer`, and FINISH."""
    stepped = SteppedRun(program.instructions[run.first : run.first + run.count], program.config)
    if stepped.order != tuple(range(len(stepped))):
        raise ProgramError("a program must give its tokens in the order written to be ended after a layer")
    return stepped.part(0, layer.first + layer.count - run.first)[0]


def _with_outputs(program: Program, results: tuple[Tensor, ...]) -> Program:
    """`program` with `results` as its outputs, on-chip ones stored by a last run."""
    if all(tensor.resident is None for tensor in results):
        return replace(program, outputs=results)
    if len(program.segments) >= SEGMENTS:
        raise ProgramError(f"a program must leave one of {SEGMENTS} segments free for a result that lies on chip")
    number, offset = len(program.segments), 0
    buffers, outputs = list(program.buffers), []
    stores: list[Instruction] = []
    for tensor in results:
        if tensor.resident is not None:
            stores += _stores(program, tensor, number, offset)
            buffer = Buffer(name=f"{tensor.name} (from ACT)", size=tensor.nbytes, segment=number, offset=offset)
            buffers.append(buffer)
            offset += tensor.nbytes
            tensor = replace(tensor, buffer=buffer.name, resident=None)
        outputs.append(tensor)
    code = encode_instructions([*stores, finish()])
    return replace(
        program,
        instructions=np.concatenate([program.instructions, code]),
        segments=(*program.segments, Segment(name=_SEGMENT, size=offset, role=_SEGMENT)),
        buffers=tuple(buffers),
        steps=(*program.steps, Run(first=len(program.instructions), count=len(code))),
        outputs=tuple(outputs),
    )


def _stores(program: Program, tensor: Tensor, segment: int, offset: int) -> Iterator[Instruction]:
    """A block of channels after the other; row by row where rows lie too far apart for one nest."""
    place = tensor.resident
    assert place is not None
    n, blocks, height, width, block = tensor.stored_shape
    together = height if place.row < _STRIDE_LIMIT else 1
    run, line = width * block // program.config.granule, width * block
    for image in range(n * blocks):
        for row in range(0, height, together):
            yield store(
                memory=Memory.ACT,
                segment=segment,
                offset=offset + (image * height + row) * line,
                bounds=[together, run],
                dram_strides=[line],
                mem=(place.base + image * place.image + row * place.row, [place.row if together > 1 else 0, 1]),
            )
