"""``import tilewright`` and a few obvious calls."""

from pathlib import Path

import numpy as np
import pytest
import tilewright
from tilewright.isa.instruction import finish, sync
from tilewright.isa.program import Run, encode_instructions
from tilewright.isa.table import Engine
from tilewright.models import DIGITS, DIGITS_TEST


def test_from_a_model_to_its_answer(tmp_path: Path) -> None:
    config = tilewright.load_config("tiny")
    program = tilewright.compile_model(DIGITS, config)
    assert tilewright.check_program(program) == []
    program.save(tmp_path / "digits.tw")
    again = tilewright.Program.load(tmp_path / "digits.tw")
    with np.load(DIGITS_TEST) as test:
        images, expected = test["images"][:2], test["probabilities"][:2]
    session = tilewright.Session(again, tilewright.open_device("oracle", config))
    for image, answer in zip(images, expected, strict=True):
        inputs = {"image": image[None]}
        np.testing.assert_allclose(session.run(inputs)["probabilities"][0], answer, rtol=1e-5, atol=1e-7)
        outputs = tilewright.run(program, inputs, device="oracle")
        np.testing.assert_allclose(outputs["probabilities"][0], answer, rtol=1e-5, atol=1e-7)


def test_a_program_is_checked_before_it_runs() -> None:
    code = encode_instructions([sync(Engine.LOAD, signal=[Engine.GEMM]), finish()])
    program = tilewright.Program(
        config=tilewright.load_config("tiny"), instructions=code, steps=(Run(first=0, count=2),)
    )
    with pytest.raises(tilewright.TilewrightError, match=r"^instruction 0 \(SYNC\): 1 tokens .* never taken$"):
        tilewright.run(program, {}, device="oracle")
    assert tilewright.run(program, {}, device="oracle", check=False) == {}


def test_names() -> None:
    assert set(dir(tilewright)) == set(tilewright.__all__)
    for name in tilewright.__all__:
        assert getattr(tilewright, name) is not None
    with pytest.raises(AttributeError, match="module 'tilewright' has no attribute 'nothing'"):
        tilewright.nothing  # noqa: B018
    with pytest.raises(
        tilewright.TilewrightError, match=r"device must be one of oracle, native, cycle, .*, not 'fpga'"
    ):
        tilewright.open_device("fpga", tilewright.load_config("tiny"))
