"""How long programs take: asked of whoever knows the hardware's time."""

from __future__ import annotations

from typing import Protocol

from ...isa.program import Program

__all__ = ["Measure"]


class Measure(Protocol):
    """A clock for programs of one configuration; the timing model, or a device."""

    @property
    def identity(self) -> str:
        """What its answers depend on beside the program: part of the database's keys."""
        ...

    def cycles(self, program: Program) -> int:
        """Of all runs of `program` together."""
        ...
