"""One call from a program and inputs to outputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..isa.checker import require_program
from ..isa.program import Program
from .device import open_device
from .session import Session

__all__ = ["run"]


def run(
    program: Program, inputs: Mapping[str, np.ndarray], *, device: str = "native", check: bool = True, **options: Any
) -> dict[str, np.ndarray]:
    """Outputs by name of one run of `program` on a fresh device.

    Parameters
    ----------
    inputs
        An array for each of the program's inputs, of exactly its shape and dtype.
    device, options
        As for :func:`open_device`.
    check
        Prove first that the program is legal, stays inside its memories and segments, and ends.

    Raises
    ------
    TilewrightError
        The program, an input or an option is wrong, or the core stopped with an error.
    """
    if check:
        require_program(program)
    opened = open_device(device, program.config, **options)
    try:
        return Session(program, opened).run(inputs)
    finally:
        opened.close()
