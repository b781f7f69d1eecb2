"""Places to stop a program at, and how it stands there."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ProgramError
from ..isa.launch import Outcome
from ..isa.program import Layer, Program, Run
from ..isa.until import find_layer
from .difference import Difference

__all__ = ["Stop", "Stopped"]

_KINDS = ("instruction", "layer", "cycle")
_EVER = 1 << 63


@dataclass(frozen=True)
class Stop:
    """Where to stop: as soon as an instruction or a layer is done, or at a cycle.

    Members
    -------
    kind
        ``instruction``, ``layer`` or ``cycle``.
    number
        Of the instruction in the program, the layer in the program's list, or the core's cycles so far, in all runs.
    """

    kind: str
    number: int

    @classmethod
    def parse(cls, text: str, program: Program) -> Stop:
        """From ``instruction:57``, ``layer:3``, ``layer:NAME`` or ``cycle:10000``.

        Raises
        ------
        ProgramError
            It is something else, or not in `program`.
        """
        kind, _, where = text.partition(":")
        if kind == "layer" and not where.isdecimal():
            return cls(kind, find_layer(program, where))
        if kind not in _KINDS or not where.isdecimal():
            raise ProgramError(f"a place to stop must be instruction:N, layer:N, layer:NAME or cycle:N, not {text}")
        end = {"instruction": len(program.instructions), "layer": len(program.layers), "cycle": _EVER}[kind]
        if int(where) >= end:
            raise ProgramError(f"{kind} must be below {end}, which is all that the program has, not {where}")
        return cls(kind, int(where))

    def instruction(self, program: Program, run: Run) -> int | None:
        """The instruction of `run` that has to be done; None where that is in another run, or none at all."""
        index = self.number
        if self.kind == "layer":
            layer = program.layers[self.number]
            if layer.target != "accelerator" or not layer.count:
                return None
            index = layer.first + layer.count - 1
        last = run.first + run.count - 1  # which is FINISH
        return min(index, last - 1) if run.first <= index <= last and run.count > 1 else None


@dataclass(frozen=True)
class Stopped:
    """Where a program stands.

    Members
    -------
    why
        ``end``, ``stop`` (the place that was asked for), ``difference``, or ``error`` (the core's, on all devices).
    step
        The program's step that it stands in, or after.
    index
        The last instruction that is done, in the program's numbers; None where a step on the host is the last.
    layer
        The layer that lists it.
    difference
        Of the two devices.
    outcome
        How the core ended where `why` is ``error``.
    cycle, in_flight
        Where it stands at a cycle: of the run; and the instructions that have started and not retired.
    """

    why: str
    step: int
    index: int | None = None
    layer: Layer | None = None
    difference: Difference | None = None
    outcome: Outcome | None = None
    cycle: int | None = None
    in_flight: tuple[int, ...] = ()
