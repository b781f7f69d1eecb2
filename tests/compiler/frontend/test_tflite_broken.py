"""TFLite models that contradict themselves: one line each, before anything large is made."""

import numpy as np
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.errors import TilewrightError


@pytest.fixture
def complaint(maker, tmp_path):
    """``complaint(build)``: what the compiler says of the model whose outputs `build` gives."""

    def told(build):
        made = maker()
        path = made.write(tmp_path / "model.tflite", *build(made))
        with pytest.raises(TilewrightError) as error:
            compile_model(path, load_config("tiny"))
        assert "\n" not in str(error.value)
        return str(error.value)

    return told


def test_cycles(complaint):
    """Operators stand in order in the file; what one reads must come before it."""

    def build(made):
        x = made.input((1, 4))
        a = made.add("ADD", [x, 2], (1, 4))
        return [made.add("ADD", [x, a], (1, 4))]

    assert "nothing before computes it" in complaint(build)


def test_a_tensor_that_reads_itself(complaint):
    assert "nothing before computes it" in complaint(lambda made: [made.add("ADD", [made.input((1, 4)), 1], (1, 4))])


@pytest.mark.parametrize("index", [7, -2, 1 << 30, -(1 << 31)])
def test_tensors_that_are_missing(complaint, index):
    assert f"names tensor {index}, which it does not have" in complaint(
        lambda made: [made.add("ADD", [made.input((1, 4)), index], (1, 4))]
    )


def test_inputs_that_are_left_out(complaint):
    assert "must have an input 1" in complaint(lambda made: [made.add("ADD", [made.input((1, 4)), -1], (1, 4))])
    assert "must have an input 1" in complaint(lambda made: [made.add("ADD", [made.input((1, 4))], (1, 4))])


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 4, 4), (1, 1, 4, 4, 3)])
def test_images_of_another_rank(complaint, shape):
    def build(made):
        x = made.input(shape)
        w = made.constant(np.ones((2, 1, 1, shape[-1]), np.int8), scale=0.1)
        return [made.add("CONV_2D", [x, w], (1, 4, 4, 2), StrideH=1, StrideW=1)]

    assert "must have 4 dimensions" in complaint(build)


def test_weights_of_another_rank(complaint):
    def build(made):
        w = made.constant(np.ones((2, 3), np.int8), scale=0.1)
        return [made.add("CONV_2D", [made.input((1, 4, 4, 3)), w], (1, 4, 4, 2), StrideH=1, StrideW=1)]

    assert "must have 4 dimensions, not 2" in complaint(build)


@pytest.mark.parametrize("stride", [0, -1, -(1 << 31)])
def test_strides_that_are_none(complaint, stride):
    def build(made):
        w = made.constant(np.ones((2, 1, 1, 3), np.int8), scale=0.1)
        return [made.add("CONV_2D", [made.input((1, 4, 4, 3)), w], (1, 4, 4, 2), StrideH=stride, StrideW=1)]

    assert "positive" in complaint(build)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_are_none(complaint, scale):
    assert "must have positive scales" in complaint(
        lambda made: [made.add("RELU", [made.input((1, 4), scale=scale)], (1, 4))]
    )


@pytest.mark.parametrize("shape", [(1 << 30, 4), (1, 0), (1, -5), (1 << 14, 1 << 15)])
def test_shapes_that_are_absurd(complaint, shape):
    assert "must have a sensible shape" in complaint(lambda made: [made.add("RELU", [made.input(shape)], shape)])


def test_an_absurd_kernel(complaint):
    def build(made):
        x = made.input((1, 4, 4, 3))
        options = {"FilterHeight": 1 << 30, "FilterWidth": 1 << 30, "StrideH": 1, "StrideW": 1}
        return [made.add("MAX_POOL_2D", [x], (1, 4, 4, 3), **options)]

    assert complaint(build)
