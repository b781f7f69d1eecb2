"""Weights less their zero points have nine bits: still exact, whatever the core, per tensor and per channel."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tilewright.compiler.compile import compile_graph
from tilewright.compiler.requantise import Requantiser
from tilewright.compiler.schedule.weights import eight_bit_parts, shifted_to_eight_bits
from tilewright.config import load_config
from tilewright.simulator.native import NativeSimulator

POWERS = st.sampled_from([4, 8, 16])
CORES = st.builds(
    lambda rows, wide, tall: load_config("tiny").replace(name="random", rows=rows, block_in=wide, block_out=tall),
    st.sampled_from([1, 2, 4]),
    POWERS,
    POWERS,
)
SHARED = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
OPERATORS = ["qconv", "qdepthwise", "qdense"]


@given(
    weight=arrays.arrays(np.int64, (3, 7), elements=st.integers(-128, 127)),
    zeros=st.tuples(*[st.integers(-128, 127)] * 3),
)
def test_parts_make_up_the_weights(weight, zeros):
    centred = weight - np.array(zeros).reshape(-1, 1)
    parts, signs = eight_bit_parts(centred)
    assert parts.dtype == np.int8 and len(parts) <= 2
    np.testing.assert_array_equal(parts.astype(int).sum(axis=0), centred * signs.reshape(-1, 1))
    shifted = shifted_to_eight_bits(centred)
    if shifted is not None:
        np.testing.assert_array_equal(shifted[0].astype(int) - shifted[1], centred)
    if len(set(zeros)) == 1:
        assert shifted is not None


def layer(operator, random, *, outputs, channels, kernel, per_channel, images=1, size=(6, 7), single=True):
    """What makes a graph of one layer with weights of full range and random zero points."""
    shape = {"qconv": (outputs, channels, *kernel), "qdepthwise": (channels, 1, *kernel), "qdense": (outputs, channels)}
    weight = random.integers(-128, 128, shape[operator])
    count = len(weight) if per_channel else 1
    zeros = random.choice([-128, -128, 127, 0, 5, -30], count).reshape(-1, *(1,) * (weight.ndim - 1))
    weight[0].flat[0] = 127
    factors = 10.0 ** random.uniform(-4, -2, len(weight))
    attributes = {
        "x_zero": int(random.integers(-128, 128)),
        "requantiser": Requantiser.from_factor(factors, bits=32) if single else Requantiser.from_tflite(factors),
        "y_zero": int(random.integers(-60, 60)),
        "minimum": -120,
        "maximum": 125,
    }
    if operator != "qdense":
        attributes |= {"pads": (1, 0, 0, 1), "strides": (1, 2)}
    bias = random.integers(-3000, 3000, len(weight)).astype(np.int32)
    image = (images, channels) if operator == "qdense" else (images, channels, *size)
    return operator, [image], ((weight - zeros).astype(np.int16), bias), attributes


@pytest.mark.parametrize("operator", OPERATORS)
@SHARED
@given(
    core=CORES,
    outputs=st.integers(1, 40),
    channels=st.integers(2, 40),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    per_channel=st.booleans(),
    single=st.booleans(),
    images=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_random_layers(graph_with, agree, operator, core, outputs, channels, kernel, per_channel, single, images, seed):
    random = np.random.default_rng(seed)
    sizes = {"outputs": outputs, "channels": channels, "kernel": kernel, "images": images}
    agree(graph_with(*layer(operator, random, per_channel=per_channel, single=single, **sizes)), core)


@pytest.mark.parametrize("name", ["vta-16", "8x16", "wide-32"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_larger_than_memory(graph_with, agree, operator, name):
    """Tiles over rows and groups, passes over inputs; two parts of each weight."""
    random = np.random.default_rng(3)
    small = {"act_depth": 512, "acc_depth": 128, "wgt_depth": 64, "bias_depth": 16, "scale_depth": 16}
    core = load_config(name).replace(name="small", **small)
    channels = 500 if operator == "qdense" else 70
    made = layer(operator, random, outputs=90, channels=channels, kernel=(3, 3), per_channel=True, size=(19, 21))
    agree(graph_with(*made), core, simulator=NativeSimulator)


def test_one_zero_point_costs_a_depthwise_convolution_nothing(graph_with):
    random = np.random.default_rng(4)
    config = load_config("vta-16")

    def steps(per_channel):
        made = layer("qdepthwise", random, outputs=1, channels=32, kernel=(3, 3), per_channel=per_channel)
        graph = graph_with(*made)
        vectors = [i for i in compile_graph(graph, config).decoded() if i.spec.name == "VECTOR"]
        return sum(np.prod([i[f"bound{d}"] for d in range(5)]) for i in vectors if i["reduce"])

    assert steps(True) == 2 * steps(False)
