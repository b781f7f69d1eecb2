"""The host's windows side by side: what NumPy's views say, whatever the window's geometry."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tilewright.compiler import host, te
from tilewright.compiler.graph import Node
from tilewright.compiler.ops.im2col import Im2col
from tilewright.compiler.te import layout, nn


def im2col(kernel, strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), fill=0):
    geometry = {"strides": strides, "dilations": dilations, "pads": pads, "auto_pad": "NOTSET", "ceil_mode": 0}
    return Node("windows", "im2col", ("x",), ("y",), {"kernel_shape": kernel, "fill": fill, **geometry})


def packed(array, block):
    """(N, C, H, W) → [N][⌈C / block⌉][H][W][block]."""
    n, channels, height, width = array.shape
    whole = np.zeros((n, -(-channels // block) * block, height, width), array.dtype)
    whole[:, :channels] = array
    return whole.reshape(n, -1, block, height, width).transpose(0, 1, 3, 4, 2)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=20, deadline=None)
@given(
    image=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(7, 12), st.integers(7, 40)),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    strides=pairs,
    dilations=pairs,
    pads=st.tuples(*[st.integers(0, 3)] * 4),
    block=st.sampled_from([8, 16, 32]),
    cpu=st.sampled_from([None, "x86-64"]) if host.Target.of().triple.startswith("x86_64") else st.none(),
)
def test_every_window_gives_what_it_sees(run, image, kernel, strides, dilations, pads, block, cpu):
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    room = image[2] + pads[0] + pads[2] - reach[0], image[3] + pads[1] + pads[3] - reach[1]
    dilations = tuple(1 if left < 0 else d for left, d in zip(room, dilations, strict=True))
    node, operator = im2col(kernel, strides, dilations, pads, fill=-7), Im2col()
    data = np.random.default_rng(0).integers(-128, 128, image).astype(np.int8)
    x = te.placeholder(image, "int8", "x")
    (seen,) = operator.expression(node, [x])
    (expected,) = operator.reference(node, [data])
    np.testing.assert_array_equal(run(layout.pack(seen, block), {x: data}, cpu=cpu), packed(expected, block))


def test_a_first_layer_copies_runs(run):
    """An image of three planes in floats; no element is computed again for each window that sees it."""
    node, operator = im2col((7, 7), (2, 2), pads=(3, 3, 3, 3), fill=5), Im2col()
    x = te.placeholder((1, 3, 32, 48), "float32", "x")
    data = np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)
    quantised = nn.quantize(x, 0.03, 5, "int8")
    output = layout.pack(operator.expression(node, [quantised])[0], 16)
    (expected,) = operator.reference(node, list(te.evaluate([quantised], {x: data})))
    np.testing.assert_array_equal(run(output, {x: data}), packed(expected, 16))
    function = host.lower_call("f", [x], [output])
    code = host.emit_ir([function], host.Target.of())
    assert len(function.scratch) == 1
    assert code.count("load <16 x i8>") == 2
    assert "insertelement <16 x i8>" not in code


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_planes_become_pixels_row_by_row(run, channels):
    """A vector of pixels in each plane, rather than one of the few channels of a pixel."""
    x = te.placeholder((2, channels, 3, 37), "int8", "x")
    data = np.random.default_rng(0).integers(-128, 128, x.shape).astype(np.int8)
    output = layout.transpose(x, (0, 2, 3, 1))
    np.testing.assert_array_equal(run(output, {x: data}), data.transpose(0, 2, 3, 1))
