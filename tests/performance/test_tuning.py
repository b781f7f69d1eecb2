"""What tuning gains, and what it costs: seconds of one core, with an empty database and with a full one."""

import os
from pathlib import Path
from time import process_time

import onnx
import pytest
from tilewright.compiler.compile import compile_model
from tilewright.compiler.tuning import QUICK, THOROUGH, Effort, Tuner, TuningDatabase
from tilewright.config import load_config
from tilewright.models.resnet18.quantise import build_network
from tilewright.simulator.timing import ProgramClock

MODELS = Path(__file__).parents[3] / "shared" / "models"
TINY = {"KWS": "kws", "ResNet-8": "resnet8", "VWW": "vww", "AD": "ad"}
EMPTY_SECONDS, LONG_SECONDS, FULL_SECONDS, SMALL_SECONDS = 30, 60, 5, 2
pytestmark = pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="takes minutes: set TILEWRIGHT_BENCH")


def compiled(name: str, model: Path | onnx.ModelProto, path: Path, effort: Effort, search: bool) -> tuple[Tuner, float]:
    """The tuner after compiling `model` on vta-16, and the seconds that this took."""
    start = process_time()
    with TuningDatabase(path) as database:
        tuner = Tuner(database, ProgramClock, search=search, name=name, effort=effort)
        compile_model(model, load_config("vta-16"), scheduler=tuner)
    return tuner, process_time() - start


def require(name: str, model: Path | onnx.ModelProto, path: Path, effort: Effort, empty: float, full: float) -> None:
    tuner, first = compiled(name, model, path, effort, search=True)
    known, second = compiled(name, model, path, effort, search=False)
    assert tuner.entry is not None and known.entry is not None
    heuristic, cycles = tuner.entry.heuristic, tuner.entry.cycles
    print(
        f"\n{name} on vta-16, effort {effort.level}: {heuristic:,} cycles by heuristics, {cycles:,} tuned "
        f"({tuner.entry.gain:.1%} fewer); compiling takes {first:.1f} s with an empty database, "
        f"{second:.2f} s with a full one"
    )
    assert known.entry.cycles == cycles <= heuristic
    assert first < empty and second < full


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("effort, seconds", [(QUICK, SMALL_SECONDS), (THOROUGH, LONG_SECONDS)], ids=["O2", "O3"])
@pytest.mark.parametrize("name", TINY)
def test_mlperf_tiny(name: str, effort: Effort, seconds: float, tmp_path: Path) -> None:
    require(name, MODELS / f"{TINY[name]}_int8.tflite", tmp_path / "t", effort, seconds, SMALL_SECONDS)


@pytest.mark.parametrize("effort, seconds", [(QUICK, EMPTY_SECONDS), (THOROUGH, LONG_SECONDS)], ids=["O2", "O3"])
def test_resnet18(effort: Effort, seconds: float, tmp_path: Path) -> None:
    require("ResNet-18", build_network(), tmp_path / "t", effort, seconds, FULL_SECONDS)
