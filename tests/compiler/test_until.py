"""Programs that end after a layer: what it computes, wherever it lies, is what the reference computes."""

import numpy as np
import pytest
from tilewright.compiler.compile import compile_graph, import_model
from tilewright.compiler.passes.manager import run_passes
from tilewright.compiler.pipeline import passes_for
from tilewright.compiler.reference import evaluate
from tilewright.config import load_config
from tilewright.driver.device import open_device
from tilewright.driver.session import Session
from tilewright.errors import ProgramError
from tilewright.isa.checker import check_program
from tilewright.isa.program import Program
from tilewright.isa.until import until
from tilewright.models import DIGITS, DIGITS_TEST


@pytest.fixture(scope="module", params=["tiny", "vta-16", "two rows"])
def compiled(request):
    """A program, its inputs, and every value of its graph."""
    config = load_config("tiny").replace(rows=2) if request.param == "two rows" else load_config(request.param)
    graph = import_model(DIGITS)
    image = {"image": np.load(DIGITS_TEST)["images"][:1]}
    return compile_graph(graph, config), image, evaluate(run_passes(graph, passes_for(config)), image)


def test_every_layer_that_can_be_seen(compiled):
    program, inputs, values = compiled
    seen = [layer for layer in program.layers if layer.results]
    assert len(seen) > 8 and any(tensor.resident for layer in seen for tensor in layer.results) == (
        program.config.rows == 1
    )
    for layer in seen:
        ended = Program.from_bytes(until(program, layer.name).to_bytes())
        assert check_program(ended) == []
        assert ended.layers == program.layers[: program.layers.index(layer) + 1]
        device = open_device("native", program.config)
        for name, array in Session(ended, device).run(inputs).items():
            expected = values[name]
            assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
            tolerance = 1e-6 if expected.dtype.kind == "f" else 0
            np.testing.assert_allclose(array, expected, rtol=tolerance)
        device.close()


def test_what_can_not_be_seen_is_refused(compiled):
    program = compiled[0]
    with pytest.raises(ProgramError, match=r"^layer 'rigth' must be one of the program's; similar ones are right"):
        until(program, "rigth")
    hidden = next(layer.name for layer in program.layers if not layer.results)
    with pytest.raises(ProgramError, match=rf"^layer {hidden} must not end inside a host function to be seen: take "):
        until(program, hidden)
