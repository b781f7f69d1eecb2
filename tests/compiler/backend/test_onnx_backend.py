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
from tilewright.compiler.compile_host import compile_for_host
from tilewright.compiler.frontend.onnx_functions import expand_functions
from tilewright.compiler.ops import needed_constants
from tilewright.driver.session import Session
from tilewright.errors import UnsupportedOperator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the suite computes its references while it is imported, overflows and all
    import onnx.backend.test

LIGHT = "^test_(bvlc_alexnet|densenet121|inception_v[12]|resnet50|shufflenet|squeezenet|vgg19|zfnet512)_"
ODD_REFERENCES = {
    "test_qlinearmatmul_[23]D_int8_float32_cpu": "the reference wraps around where the specification saturates",
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


def reason(message):
    """(operator, why) of a refusal, without names and numbers of the one case."""
    if (found := re.match(r"operator (\S+) \(node .*?\)(?: is not supported.*|: (.*))", message)) is not None:
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
    lines = [
        "# What runs of ONNX",
        "",
        "Written by `python tests/compiler/backend/test_onnx_backend.py docs/onnx-support.md`; don't edit it.",
        "",
        f"Of the backend test suite of onnx {onnx.__version__} (CPU) **{counts['passed']} cases pass** on the host",
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
