"""Whole networks in cycles: no slower than docs/performance.md says."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.models.resnet18.network import LAYERS
from tilewright.models.resnet18.quantise import build_layer, build_network
from tilewright.simulator.cycle import CycleSimulator

ROOT = Path(__file__).parents[2]
MODELS = ROOT.parent / "shared" / "models"
ROW = re.compile(r"^\| (?P<name>[\w-]+) \|.*?\| \*\*(?P<cycles>[\d,]+)\*\* \|", re.MULTILINE)
TINY = {"KWS": "kws", "ResNet-8": "resnet8", "VWW": "vww", "AD": "ad"}
SLACK = 1.005  # the page is not written anew for every cycle
slow = pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="takes minutes: set TILEWRIGHT_BENCH")


@pytest.fixture(scope="module")
def stated() -> Mapping[str, int]:
    """Cycles on vta-16 by the page's names: those of the first row of each name."""
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    found: dict[str, int] = {}
    for row in ROW.finditer(page):
        found.setdefault(row["name"], int(row["cycles"].replace(",", "")))
    return found


def cycles_of(model: Path | onnx.ModelProto) -> int:
    """From start to done on the Verilog, inputs being zeros."""
    program = compile_model(model, load_config("vta-16"))
    device = CycleSimulator(program.config)
    try:
        session = Session(program, device)
        session.run({tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in program.inputs})
    finally:
        device.close()
    return sum(record.counters.get("cycles", 0) for record in session.records)


def require(name: str, stated: Mapping[str, int], cycles: int) -> None:
    print(f"\n{name} on vta-16: {cycles:,} cycles; docs/performance.md says {stated[name]:,}")
    assert cycles <= SLACK * stated[name]


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("name", TINY)
def test_mlperf_tiny(name: str, stated: Mapping[str, int]) -> None:
    require(name, stated, cycles_of(MODELS / f"{TINY[name]}_int8.tflite"))


@slow
def test_resnet18(stated: Mapping[str, int]) -> None:
    require("ResNet-18", stated, cycles_of(build_network()))


@slow
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_resnet18(name: str, stated: Mapping[str, int]) -> None:
    require(name, stated, cycles_of(build_layer(name)))
