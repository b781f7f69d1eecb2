"""Calibration inputs: both forms of a file, and every way in which one does not fit."""

import numpy as np
import pytest
from tilewright.compiler.quantise.calibration import Calibration
from tilewright.errors import TilewrightError


@pytest.fixture
def graph(floats):
    model = floats()
    total = model.node("Add", model.input(1, 2, name="a"), model.input(1, 2, name="b"))
    return model.graph(total)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def test_numbered_samples_with_answers(graph):
    arrays = {f"in_{k}_{i}": ones(1, 2) * (10 * k + i) for k in (0, 2) for i in (0, 1)}
    samples = Calibration(graph, arrays | {"out_2_0": ones(1, 2), "name_0": np.array("first")})
    assert len(samples) == 2
    assert [float(sample["b"][0, 0]) for sample in samples] == [1, 21]
    assert [list(answers) for answers in samples.answers] == [[], [0]]


@pytest.mark.parametrize("shape", [(5, 2), (5, 1, 2)])
def test_named_inputs_with_samples_along_the_first_dimension(graph, shape):
    values = np.arange(10, dtype=np.float32).reshape(shape)
    samples = Calibration(graph, {"a": values, "b": values, "label": ones(5)})
    assert len(samples) == 5 and not samples.answers
    assert samples[3]["a"].tolist() == [[6, 7]]
    assert [sample["a"].shape for sample in samples] == [(1, 2)] * 5


def test_batches_are_cut_whole(floats):
    model = floats()
    graph = model.graph(model.node("Relu", model.input(4, 3)))
    samples = Calibration(graph, {"x": ones(8, 3)})
    assert [sample["x"].shape for sample in samples] == [(4, 3)] * 2
    with pytest.raises(
        TilewrightError, match=r"array x of file must be float32\[samples × 4, 3\], not float32\[6, 3\]"
    ):
        Calibration(graph, {"x": ones(6, 3)}, what="file")


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({}, r"must have arrays in_0_0, in_1_0 … or 'a' \(float32\[samples, 2\]\), 'b' .*, not none"),
        ({"x": ones(3, 2)}, r"must have arrays .* not x"),
        ({"a": ones(3, 2)}, r"must have arrays .* not a"),
        ({"a": ones(3, 2), "b": ones(4, 2)}, r"as many samples of each input, not \{'a': 3, 'b': 4\}"),
        ({"a": ones(0, 2), "b": ones(0, 2)}, r"array a of calibration data must have at least one sample"),
        ({"a": ones(3, 3), "b": ones(3, 2)}, r"array a of .* must be float32\[samples, 2\], not float32\[3, 3\]"),
        ({"a": ones(2), "b": ones(3, 2)}, r"array a of .* not float32\[2\]"),
        ({"a": ones(), "b": ones(3, 2)}, r"array a of .* not float32\[\]"),
        ({"a": ones(3, 2, dtype=np.uint8), "b": ones(3, 2)}, r"array a .* not uint8.*\.astype\(numpy\.float32\)"),
        ({"a": np.array(["x"]), "b": ones(3, 2)}, r"array a of .* must be float32"),
        ({"a": ones(3, 2) * np.nan, "b": ones(3, 2)}, r"array a of .* must be finite"),
        ({"a": ones(3, 2) * np.inf, "b": ones(3, 2)}, r"array a of .* must be finite"),
        ({"in_0_0": ones(1, 2)}, r"must have array in_0_1 \(float32\[1, 2\]\) for input 'b'"),
        (
            {"in_0_0": ones(3, 2), "in_0_1": ones(1, 2)},
            r"array in_0_0 of .* must be float32\[1, 2\], not float32\[3, 2\]",
        ),
        ({"in_0_0": ones(1, 2) * np.nan, "in_0_1": ones(1, 2)}, r"array in_0_0 of .* must be finite"),
    ],
)
def test_what_does_not_fit(graph, arrays, message):
    with pytest.raises(TilewrightError, match=message) as caught:
        Calibration(graph, arrays)
    assert "\n" not in str(caught.value)
