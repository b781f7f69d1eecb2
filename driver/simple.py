"""One call from a program and inputs to outputs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..isa.program import Program
from .device import open_device
from .session import Session

__all__ = ["run"]


def run(
    program: Program, inputs: Mapping[str, np.ndarray], *, device: str = "native", **options: Any
) -> dict[str, np.ndarray]:
    """Outputs by name of one run of `program` on a fresh device.

    Parameters
    ----------
    inputs
        An array for each of the program's inputs, of exactly its shape and dtype.
    device, options
        As for :func:`open_device`.

    Raises
    ------
    TilewrightError
        An input or option is wrong, or the core stopped with an error.
    """
    opened = open_device(device, program.config, **options)
    try:
        return Session(program, opened).run(inputs)
    finally:
        opened.close()
