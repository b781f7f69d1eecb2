"""ONNX's own backend test suite, on the host alone.

A case passes, or the compiler refuses it with UnsupportedOperator; whatever else happens fails the test. As a script,
``python tests/compiler/backend/test_onnx_backend.py docs/onnx-support.md``, it writes the page of what is refused.
TILEWRIGHT_ONNX_LIGHT=1 adds the large networks.
"""

import os
import re
import sys
import unittest
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.base
import pytest
from tilewright.compiler.compile_host import compile_for_host
from tilewright.compiler.frontend.onnx_functions import expand_functions
from tilewright.compiler.ops import needed_constants
from tilewright.driver.session import Session
from tilewright.errors import UnsupportedOperator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the suite computes its references while it is imported, overflows and all
    import onnx.backend.test
    from onnx.backend.test.case.node import collect_testcases

LIGHT = "^test_(bvlc_alexnet|densenet121|inception_v[12]|resnet50|shufflenet|squeezenet|vgg19|zfnet512)_"
PAGE_COUNTS = r"\*\*(\d+) cases pass\*\* on the host alone, (\d+) are refused or left out, (\d+) fail"
REFUSAL = re.compile(r"operator (\S+) \(node .*?\)(?: is not supported.*|: (.*))")
PASSED_BY_ONNX_RUNTIME = 1454
ODD_REFERENCES = {
    "test_qlinearmatmul_[23]D_int8_float(16|32)_cpu": "the reference wraps around where the specification saturates",
    "test_dft_inverse(_opset19)?_cpu": "the reference has rounding noise beyond the tolerance where the result is 0",
}


class HostModel(onnx.backend.base.BackendRep):
    """A model that is compiled when its inputs come.

    Its shapes are theirs, and inputs on which shapes depend become constants; elements of the others are seen by the
    compiled code only.
    """

    def __init__(self, model):
        self.model = model

    def run(self, inputs, **kwargs):
        try:
            return self._run(inputs)
        except UnsupportedOperator as refusal:
            assert REFUSAL.match(str(refusal)), f"a refusal must name operator and node: {refusal}"
            raise unittest.SkipTest(str(refusal)) from None

    def _run(self, inputs):
        initialised = {tensor.name for tensor in self.model.graph.initializer}
        names = [entry.name for entry in self.model.graph.input if entry.name not in initialised]
        given = {
            name: np.asarray(array)
            for name, array in zip(names, inputs, strict=False)
            if isinstance(array, np.ndarray | np.generic)
        }
        constant = needed_constants(expand_functions(self.model).graph.node)
        known = {name: array if name in constant or not array.size else array.shape for name, array in given.items()}
        program = compile_for_host(self.model, inputs=known)
        wanted = {tensor.name for tensor in program.inputs}
        outputs = Session(program).run({name: array for name, array in given.items() if name in wanted})
        return tuple(outputs[entry.name] for entry in self.model.graph.output)


class HostBackend(onnx.backend.base.Backend):
    """ONNX's backend interface over the host target."""

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        return HostModel(model)

    @classmethod
    def supports_device(cls, device):
        return device == "CPU"


suite = onnx.backend.test.BackendTest(HostBackend, __name__)
suite.include("_cpu$")
every_case = [name for case in suite.test_cases.values() for name in vars(case) if re.fullmatch("test_.*_cpu", name)]
for pattern in ODD_REFERENCES:
    suite.exclude(pattern)
if not os.environ.get("TILEWRIGHT_ONNX_LIGHT"):
    suite.exclude(LIGHT)
cases = {
    group: type(
        group, (unittest.TestCase,), {name: test for name, test in vars(case).items() if not name.endswith("_cuda")}
    )
    for group, case in suite.test_cases.items()
}
globals().update(cases)


def test_the_page_tells_of_every_case():
    """Each case is judged above: it passes, or is refused by operator and node, or left out for a reason given."""
    text = (Path(__file__).parents[3] / "docs" / "onnx-support.md").read_text(encoding="utf-8")
    passed, refused, failed = map(int, re.search(PAGE_COUNTS, " ".join(text.split())).groups())
    print(f"{len(every_case)} cases: {passed} pass, {refused} are refused or left out, {failed} fail")
    assert passed + refused + failed == len(every_case) and failed == 0
    assert passed > PASSED_BY_ONNX_RUNTIME


@pytest.mark.parametrize(
    "name", [name for name in every_case if any(re.fullmatch(odd, name) for odd in ODD_REFERENCES)]
)
def test_left_out_cases_by_the_specification(name):
    """Where the suite's answer is odd, ours is what the operator's text says, computed here in float64."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = next(case for case in collect_testcases(None) if f"{case.name}_cpu" == name)
    (inputs, _), *_ = case.data_sets
    (found,) = HostModel(case.model).run(inputs)
    if "dft" in name:
        spectrum = inputs[0].astype(np.float64)
        signal = np.fft.ifft(spectrum[..., 0] + 1j * spectrum[..., 1], axis=1)
        np.testing.assert_allclose(found, np.stack([signal.real, signal.imag], -1), rtol=1e-5, atol=1e-4)
        return
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = (np.asarray(array, np.float64) for array in inputs)
    real = (a - a_zero) @ (b - b_zero) * a_scale * b_scale / y_scale
    np.testing.assert_array_equal(found, np.clip(np.rint(real) + y_zero, -128, 127))


def reason(message):
    """(operator, why) of a refusal, without names and numbers of the one case."""
    if (found := REFUSAL.match(message)) is not None:
        why = found[2] or "no such operator here"
        return found[1].removeprefix("ai.onnx."), re.sub(r"\(.*\)|\[.*?\]|'[^']*'", "…", why)
    if LIGHT in message:
        return "the large networks", "left out here, tested with TILEWRIGHT_ONNX_LIGHT=1"
    return "the suite", "left out, since its reference is odd"


def page():
    """The support page, from a run of everything."""
    counts, refused = Counter(), defaultdict(list)
    for case in cases.values():
        for name in sorted(name for name in vars(case) if name.startswith("test_")):
            result = unittest.TestResult()
            case(name).run(result)
            outcome = "refused" if result.skipped else "passed" if result.wasSuccessful() else "failed"
            counts[outcome] += 1
            for _, message in result.skipped:
                refused[reason(message)].append(name)
    shown = f"**{counts['passed']} cases pass** on the host"
    lines = [
        "# What runs of ONNX",
        "",
        "Written by `python tests/compiler/backend/test_onnx_backend.py docs/onnx-support.md`; don't edit it.",
        "",
        f"Of the {counts.total()} cases of the backend test suite of onnx {onnx.__version__} (CPU) {shown}",
        f"alone, {counts['refused']} are refused or left out, {counts['failed']} fail.",
        "",
        "| operator | refused, since | cases | such as |",
        "|---|---|---|---|",
    ]
    ordered = sorted(refused.items(), key=lambda item: (-len(item[1]), item[0]))
    for (operator, why), names in ordered:
        shown = why.replace("|", "\\|")
        lines.append(f"| {operator} | {shown} | {len(names)} | {names[0].removesuffix('_cpu')} |")
    lines += ["", "Left out, since the suite's own reference is odd:", ""]
    lines += [f"- `{pattern.removesuffix('_cpu')}`: {why}" for pattern, why in ODD_REFERENCES.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
