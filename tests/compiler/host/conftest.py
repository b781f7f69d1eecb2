"""Running an expression: through LLVM into this process, and through NumPy."""

import numpy as np
import pytest
from tilewright.compiler import host, te
from tilewright.driver.host import HostFunctions

GUARD = 64


@pytest.fixture(scope="session")
def run():
    """``run(output, {placeholder: array}, schedule=None, **target)``: the output's array, from machine code.

    Every buffer sits between guard bytes, at an address that suits no more than its element.
    """

    def placed(array):
        space = np.full(array.nbytes + 2 * GUARD + 8, 0xA5, np.uint8)
        start = (-space.ctypes.data) % GUARD + array.itemsize
        view = space[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        view[...] = array
        return space, start, view

    def call(output, feeds, schedule=None, **target):
        function = host.lower_call("f", list(feeds), [output], schedule)
        code = host.build([function], **target)
        arrays = [np.ascontiguousarray(array) for array in feeds.values()]
        buffers = [placed(array) for array in (*arrays, np.zeros(output.shape, output.dtype))]
        if function.workspace_bytes:
            buffers.append(placed(np.zeros(function.workspace_bytes, np.uint8)))
        HostFunctions(code).call("f", [view for _, _, view in buffers])
        for space, start, view in buffers:
            assert (space[:start] == 0xA5).all() and (space[start + view.nbytes :] == 0xA5).all()
        for array, (_, _, view) in zip(arrays, buffers, strict=False):
            np.testing.assert_array_equal(array, view)
        return buffers[len(arrays)][2].copy()

    return call


@pytest.fixture(scope="session")
def meaning():
    """``meaning(output, feeds)``: the output's array, from NumPy."""
    return lambda output, feeds: te.evaluate([output], feeds)[0]
