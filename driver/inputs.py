"""Inputs for a program of which nothing is known but shapes and types."""

import numpy as np

from ..isa.program import Program

__all__ = ["random_inputs"]


def random_inputs(program: Program, seed: int = 0) -> dict[str, np.ndarray]:
    """An array for each input: of integers all that the type has, of real numbers the normal distribution."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for tensor in program.inputs:
        dtype = np.dtype(tensor.dtype)
        if dtype == np.bool_:
            arrays[tensor.name] = rng.integers(0, 2, tensor.shape).astype(dtype)
        elif dtype.kind in "iu":
            limits = np.iinfo(dtype)
            arrays[tensor.name] = rng.integers(limits.min, limits.max, tensor.shape, dtype, endpoint=True)
        else:
            arrays[tensor.name] = rng.standard_normal(tensor.shape).astype(dtype)
    return arrays
