"""Samples of recorded answers that leave nothing to compare."""

import numpy as np
import pytest
from tilewright.driver.golden import compare_runs, golden_samples
from tilewright.errors import ProgramError


def test_a_tap_alone_needs_a_softmax() -> None:
    samples = golden_samples({"in_0_0": np.zeros(2), "tap_0_0": np.zeros(2)})
    with pytest.raises(ProgramError, match="sample 0 must have outputs, not a tap alone: the model has no softmax"):
        list(
            compare_runs(
                lambda arrays: {"y": arrays["x"]},
                samples,
                inputs=["x"],
                outputs=["y"],
                tap=None,
                answers="out",
                tolerance=0,
            )
        )
