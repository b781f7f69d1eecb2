"""One expression of a convolution: an instruction on the oracle, loops on the host, and NumPy agree."""

import numpy as np
import pytest
from tilewright.compiler import host, te
from tilewright.compiler.te import layout, nn
from tilewright.config import load_config
from tilewright.driver.host import HostFunctions
from tilewright.isa.instruction import finish, gemm
from tilewright.isa.launch import Launch
from tilewright.isa.table import Memory
from tilewright.simulator.oracle import OracleSimulator


def on_host(output, feeds):
    result = np.zeros(output.shape, output.dtype)
    HostFunctions(host.build([host.lower_call("f", list(feeds), [output])])).call("f", [*feeds.values(), result])
    return result


def on_oracle(config, y, feeds, nest):
    core = OracleSimulator(config)
    for memory, array in zip((Memory.ACT, Memory.WGT), feeds.values(), strict=True):
        cells = core.peek(memory)
        cells.reshape(-1)[: array.size] = array.view(np.uint8).reshape(-1)
        core.poke(memory, cells)
    act, wgt = ((access.base, access.strides) for access in nest.operands)
    acc = (nest.result.base, nest.result.strides)
    code = gemm(bounds=nest.bounds, act=act, wgt=wgt, acc=acc, overwrite=nest.reductions).encode() + finish().encode()
    place = core.allocate(len(code))
    core.write(place, np.frombuffer(code, np.uint8))
    assert not core.run(Launch(place, 2)).error
    cells = core.peek(Memory.ACC)[: y.size // config.block_out]
    return np.ascontiguousarray(cells).view(np.int32).reshape(y.shape)


@pytest.mark.parametrize("preset", ["tiny", "8x16", "vta-16"])
@pytest.mark.parametrize(("strides", "dilations"), [((1, 1), (1, 1)), ((2, 1), (1, 2))])
def test_a_convolution_on_the_accelerator_and_on_the_host(preset, strides, dilations):
    config = load_config(preset)
    rng = np.random.default_rng(0)
    x = te.placeholder((1, 2, 6, 7, config.block_in), "int8", "x")
    w = te.placeholder((2, 2, 3, 2, config.block_out, config.block_in), "int8", "w")
    feeds = {t: rng.integers(-128, 128, t.shape).astype(np.int8) for t in (x, w)}
    y = nn.conv2d_blocked(x, w, strides=strides, dilations=dilations)
    cells = {x: config.granule, w: config.block_out * config.block_in, y: config.block_out}
    nest = te.instruction_nest(y, inner=(y.axes[4], y.reduce_axes[3]), cells=cells)
    assert len(nest.bounds) == 6
    expected = te.evaluate([y], feeds)[0]
    np.testing.assert_array_equal(on_oracle(config, y, feeds, nest), expected)
    np.testing.assert_array_equal(on_host(y, feeds), expected)


def test_the_blocked_convolution_is_the_plain_one():
    rng = np.random.default_rng(1)
    x, w = te.placeholder((1, 8, 6, 7), "int8", "x"), te.placeholder((8, 8, 3, 3), "int8", "w")
    feeds = {t: rng.integers(-128, 128, t.shape).astype(np.int8) for t in (x, w)}
    tiles = te.compute((2, 2, 3, 3, 4, 4), lambda o, c, h, v, q, k: w[o * 4 + q, c * 4 + k, h, v], "tiles")
    blocked = layout.unpack(nn.conv2d_blocked(layout.pack(x, 4), tiles), 8)
    np.testing.assert_array_equal(on_host(blocked, feeds), te.evaluate([nn.conv2d(x, w)], feeds)[0])


def test_order_and_strides_of_a_tile():
    x, w = te.placeholder((1, 2, 6, 7, 4), "int8", "x"), te.placeholder((1, 2, 3, 2, 4, 4), "int8", "w")
    y = nn.conv2d_blocked(x, w)
    ci, kh, kw, k = y.reduce_axes
    oh, ow = y.axes[2:4]
    wide = (0, 8 * 100, 9 * 4, 4, 1)
    nest = te.instruction_nest(
        y, inner=(y.axes[4], k), cells={x: 4, w: 16, y: 4}, order=[kh, ci, oh, kw, ow], strides={x: wide}
    )
    assert nest.bounds == (3, 2, 4, 2, 6)
    assert nest.reductions == (0, 1, 3)
    assert nest.operands[0].strides == (9, 200, 9, 1, 1)
    assert nest.operands[1].strides == (2, 6, 0, 1, 0)
    assert nest.result.strides == (0, 0, 6, 0, 1)


def test_what_is_no_nest_is_refused():
    x, w = te.placeholder((1, 2, 6, 7, 4), "int8", "x"), te.placeholder((1, 2, 3, 2, 4, 4), "int8", "w")
    y = nn.conv2d_blocked(x, w)
    inner = (y.axes[4], y.reduce_axes[3])
    with pytest.raises(ValueError, match="steps through x must be whole cells of 8"):
        te.instruction_nest(y, inner=inner, cells={x: 8, w: 16, y: 4})
    with pytest.raises(ValueError, match="must together be its axes"):
        te.instruction_nest(y, inner=inner[:1], cells={x: 4, w: 16, y: 4}, order=[y.axes[2]])
    flipped = te.compute((6,), lambda i: x[0, 0, i % 3, 0, 0], "flipped")
    with pytest.raises(ValueError, match="addresses of x must be affine"):
        te.instruction_nest(flipped, inner=(), cells={x: 1, flipped: 1})
