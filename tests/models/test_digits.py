"""The stored digits network: what it is made of, and that it is right about digits it has not seen."""

import numpy as np
import onnx
import onnxruntime
import pytest
from tilewright.models import DIGITS, DIGITS_TEST
from tilewright.models.digits import network, quantise, train


@pytest.fixture(scope="module")
def model():
    return onnx.load(DIGITS)


@pytest.fixture(scope="module")
def held_out():
    with np.load(DIGITS_TEST) as arrays:
        return dict(arrays)


def test_onnx_runtime_is_right_and_gives_the_stored_answers(held_out):
    session = onnxruntime.InferenceSession(DIGITS, providers=["CPUExecutionProvider"])
    answers = np.concatenate([session.run(None, {"image": image[None]})[0] for image in held_out["images"]])
    np.testing.assert_allclose(answers, held_out["probabilities"], atol=1e-6)
    assert (answers.argmax(axis=1) == held_out["labels"]).mean() >= 0.98


def test_the_images_are_the_scripts_held_out_ones(held_out):
    pytest.importorskip("sklearn")
    images, _, test_images, test_labels = train.split()
    assert len(test_images) >= 300
    np.testing.assert_array_equal(held_out["images"][:, 0], test_images[..., 0])
    np.testing.assert_array_equal(held_out["labels"], test_labels)
    trained_on = {image.tobytes() for image in images}
    assert not any(image.tobytes() in trained_on for image in test_images)


def test_every_operator_of_the_first_light_occurs(model):
    onnx.checker.check_model(model, full_check=True)
    expected = "QuantizeLinear DequantizeLinear Conv Relu Add MaxPool AveragePool Flatten Gemm Softmax"
    assert {node.op_type for node in model.graph.node} == set(expected.split())
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    kernels = {tuple(a.ints) for node in convolutions for a in node.attribute if a.name == "kernel_shape"}
    assert kernels == {(1, 1), (3, 3)}


def test_files_are_small():
    assert DIGITS.stat().st_size + DIGITS_TEST.stat().st_size < 500_000


def test_gradients_are_the_differences_of_the_loss():
    rng = np.random.default_rng(3)
    net, images, labels = network.Network(1), rng.random((4, 8, 8, 1), np.float32), np.array([1, 7, 3, 3])

    def loss():
        logits = net.forward(images).astype(np.float64)
        return (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), labels]).mean()

    odds = np.exp(net.forward(images))
    gradient = odds / odds.sum(axis=1, keepdims=True)
    gradient[np.arange(4), labels] -= 1
    net.backward(gradient / np.float32(4))
    for parameter in net.parameters:
        direction = parameter.gradient / max(np.linalg.norm(parameter.gradient), 1e-12)
        expected, before, step = float((parameter.gradient * direction).sum()), parameter.value.copy(), 1e-3
        parameter.value = before + np.float32(step) * direction
        above = loss()
        parameter.value = before - np.float32(step) * direction
        assert (above - loss()) / (2 * step) == pytest.approx(expected, rel=0.05, abs=1e-3)
        parameter.value = before


def test_quantised_network_follows_the_float_one():
    """An untrained network too: the quantiser, not the training, is what is tested."""
    images = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    net = network.Network(4)
    session = onnxruntime.InferenceSession(quantise.quantise(net, images).SerializeToString())
    logits = net.forward(images)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = [session.run(None, {"image": image.transpose(2, 0, 1)[None]})[0][0] for image in images]
    np.testing.assert_allclose(answers, expected, atol=0.05)
