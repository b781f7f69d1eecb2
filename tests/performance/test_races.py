"""What the race checker adds to compiling."""

import os
from pathlib import Path
from statistics import median
from time import process_time

import onnx
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.isa.races import program_races
from tilewright.models.resnet18.quantise import build_network

MODELS = Path(__file__).parents[3] / "shared" / "models"
TINY = ("kws_int8.tflite", "resnet8_int8.tflite", "vww_int8.tflite", "ad_int8.tflite", "ultraface_slim_qdq.onnx")
LARGEST_SHARE = 0.10
REPEATS = 3


def require_cheap(name: str, model: Path | onnx.ModelProto, repeats: int = REPEATS) -> None:
    """CPU times, both measured in turn."""
    config, shares = load_config("vta-16"), []
    compile_model(model, config)
    for _ in range(repeats):
        start = process_time()
        program = compile_model(model, config, check=False)
        compiled = process_time()
        assert program_races(program) == []
        shares.append((process_time() - compiled) / (compiled - start))
    count = len(program.instructions)
    print(f"\n{name}: the race checker adds {median(shares):.1%} to compiling ({count} instructions)")
    assert median(shares) < LARGEST_SHARE


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("name", TINY)
def test_networks_of_others(name: str) -> None:
    require_cheap(name, MODELS / name)


@pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="takes a minute: set TILEWRIGHT_BENCH")
def test_resnet18() -> None:
    require_cheap("ResNet-18", build_network(), repeats=3)
