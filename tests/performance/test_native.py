"""How fast the native simulator is: against this CPU's own peak, and against ONNX Runtime, taken by turns in one run.

Times are of the processor, not the clock: other work on the machine counts as little as it can.
"""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.driver.session import Session
from tilewright.isa.launch import Launch
from tilewright.isa.program import Program
from tilewright.isa.table import Opcode
from tilewright.models.resnet18.network import LAYERS
from tilewright.models.resnet18.quantise import build_layer, build_network
from tilewright.simulator.native import NativeSimulator
from tilewright.toolchain import find_c_compiler, run_tool

MODELS = Path(__file__).parents[3] / "shared" / "models"
TINY = ("kws", "resnet8", "vww", "ad")
VTA = load_config("vta-16")
CORE = {"vpdpbusd": "avx512_vnni", "vpmaddwd": "avx2"}
ROUNDS = 15
PEAK_STEPS = 100_000
slow = pytest.mark.skipif(not os.environ.get("TILEWRIGHT_BENCH"), reason="takes minutes: set TILEWRIGHT_BENCH")

# Twelve independent accumulators; the empty statement keeps the compiler from seeing that they are all alike.
PEAK = r"""
#include <immintrin.h>
#define EACH _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++)
void peak(long steps, int *out)
{
#ifdef VPDPBUSD
    __m512i sum[12], a = _mm512_set1_epi8(1), b = a;
    EACH sum[i] = _mm512_setzero_si512();
    for (long k = 0; k < steps; k++)
        EACH { sum[i] = _mm512_dpbusd_epi32(sum[i], a, b); __asm__ volatile("" : "+v"(sum[i])); }
    EACH out[i] = _mm512_reduce_add_epi32(sum[i]);
#else
    __m256i sum[12], a = _mm256_set1_epi16(1), b = a;
    EACH sum[i] = _mm256_setzero_si256();
    for (long k = 0; k < steps; k++)
        EACH { sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(a, b)); __asm__ volatile("" : "+x"(sum[i])); }
    EACH out[i] = _mm256_extract_epi32(sum[i], 0);
#endif
}
"""


def seconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def on_the_clock(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def medians(*works: Callable[[], object], rounds: int = ROUNDS) -> list[float]:
    """Seconds of each, taken by turns."""
    for work in works:
        work()
    return np.median([[seconds(work) for work in works] for _ in range(rounds)], axis=0).tolist()  # type: ignore[no-any-return]


def cpu_has(flag: str) -> bool:
    try:
        return f" {flag} " in Path("/proc/cpuinfo").read_text(encoding="utf-8").replace("\n", " ")
    except OSError:
        return False


def peak_of(instruction: str, folder: Path) -> tuple[Callable[[], object], int]:
    """Something to time, and its multiply-accumulates."""
    source, library = folder / "peak.c", folder / f"{instruction}.so"
    source.write_text(PEAK, encoding="utf-8")
    kind = ["-march=native", "-DVPDPBUSD"] if instruction == "vpdpbusd" else ["-march=x86-64-v3"]
    compiler = find_c_compiler("this test")
    run_tool([compiler, "-O2", "-fPIC", "-shared", *kind, "-o", library, source])
    loaded, out = ctypes.CDLL(str(library)), (ctypes.c_int * 12)()
    macs = PEAK_STEPS * 12 * (64 if instruction == "vpdpbusd" else 16)
    return lambda: loaded.peak(ctypes.c_long(PEAK_STEPS), out), macs


def gemm_alone(program: Program, cpu: str) -> Callable[[], object]:
    """The program's GEMM instructions, without tokens and without the others, again and again on one simulator."""
    simulator = NativeSimulator(program.config, cpu=cpu)
    chosen = [i for i in program.decoded() if i.opcode in (Opcode.GEMM, Opcode.FINISH)]
    text = b"".join(i.replace(wait=0, signal=0).encode() if i.opcode is Opcode.GEMM else i.encode() for i in chosen)
    base = simulator.allocate(len(text))
    simulator.write(base, text)
    return lambda: simulator.run(Launch(base, len(chosen)))


@slow
@pytest.mark.parametrize(
    ("cpu", "instruction", "share"), [("native", "vpdpbusd", 0.4), ("avx2", "vpmaddwd", 0.35)], ids=["native", "avx2"]
)
def test_convolutions_against_the_peak(cpu: str, instruction: str, share: float, tmp_path: Path) -> None:
    """ResNet-18's convolutions, each as often as the network has it, beside the multiplier's own peak."""
    if not cpu_has(CORE[instruction]):
        pytest.skip(f"this CPU has no {instruction}")
    peak, peak_macs = peak_of(instruction, tmp_path)
    total, macs = 0.0, 0
    at_peak = []
    for name, layer in LAYERS.items():
        program = compile_model(build_layer(name), VTA)
        layer_seconds, peak_seconds = medians(gemm_alone(program, cpu), peak)
        total += layer.count * layer_seconds
        macs += layer.count * layer.macs
        at_peak.append(peak_macs / peak_seconds)
    reached, most = macs / total, float(np.median(at_peak))
    print(
        f"\nnative simulator ({cpu}), ResNet-18's convolutions on vta-16: {reached / 1e9:.0f} G MAC/s on one core, "
        f"{reached / most:.0%} of its {instruction} peak of {most / 1e9:.0f} in the same run"
    )
    assert reached >= share * most


def unsigned(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same QDQ network with unsigned activations, for which ONNX Runtime has its fast kernels."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    constants = {constant.name: constant for constant in changed.graph.initializer}
    made: dict[str, onnx.TensorProto] = {}
    for node in changed.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] not in constants:
            zero = numpy_helper.to_array(constants[node.input[2]])
            node.input[2] += "/unsigned"
            made[node.input[2]] = numpy_helper.from_array((zero + np.int16(128)).astype(np.uint8), node.input[2])
    changed.graph.initializer.extend(made.values())
    return changed


@slow
def test_resnet18_against_onnx_runtime() -> None:
    """The whole network, image to logits, host included, on one thread each."""
    model = build_network()
    session = Session(compile_model(model, VTA), NativeSimulator(VTA, threads=1))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    peer = onnxruntime.InferenceSession(
        unsigned(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = {t.name: np.random.default_rng(0).standard_normal(t.shape).astype(t.dtype) for t in session.program.inputs}
    ours, theirs = medians(lambda: session.run(inputs), lambda: peer.run(None, inputs), rounds=40)
    print(
        f"\nResNet-18 through the ISA on the native simulator: {ours * 1e3:.1f} ms, "
        f"ONNX Runtime int8 {theirs * 1e3:.1f} ms, {ours / theirs:.2f} times as long"
    )
    assert ours <= 1.5 * theirs


@slow
def test_resnet18_on_two_threads() -> None:
    """On the clock, by turns. What is gained depends on where the two CPUs are: so it is printed, and only bounded."""
    program = compile_model(build_network(), VTA)
    sessions = [Session(program, NativeSimulator(VTA, threads=threads)) for threads in (1, 2)]
    inputs = {t.name: np.random.default_rng(0).standard_normal(t.shape).astype(t.dtype) for t in program.inputs}
    times = [[on_the_clock(lambda s=session: s.run(inputs)) for session in sessions] for _ in range(40)]  # type: ignore[misc]
    one, two = np.median(times[1:], axis=0)
    print(
        f"\nResNet-18 on the native simulator, on the clock: {one * 1e3:.1f} ms on one thread, "
        f"{two * 1e3:.1f} ms where two may be used, {one / two:.2f} times as fast"
    )
    assert two <= 1.5 * one


def start_up(program: Path, inputs: Path) -> list[str]:
    return [sys.executable, "-m", "tilewright", "run", str(program), "-i", str(inputs), "--device", "native"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, Path]]:
    """Program and inputs of every MLPerf Tiny network, each run once."""
    folder = tmp_path_factory.mktemp("programs")
    files = {}
    for name in TINY:
        program = compile_model(MODELS / f"{name}_int8.tflite", VTA)
        files[name] = folder / f"{name}.tw", folder / f"{name}.npz"
        program.save(files[name][0])
        np.savez(files[name][1], **{t.name: np.zeros(t.shape, t.dtype) for t in program.inputs})
        subprocess.run(start_up(*files[name]), check=True, capture_output=True)  # fills the cache
    return files


@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
def test_what_a_run_imports(compiled: Mapping[str, tuple[Path, Path]]) -> None:
    """Few modules, and none of the heavy ones: start-up is most of a small network's time."""
    script = f"import sys, runpy; sys.argv = {start_up(*compiled['kws'])[2:]}\n" + (
        "try: runpy.run_module('tilewright', run_name='__main__', alter_sys=False)\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    modules = done.stdout.splitlines()[-1].split()
    heavy = {"onnx", "amaranth", "tflite", "matplotlib", "scipy", "llvmlite", "subprocess"}
    assert not (heavy | {"tilewright.compiler", "tilewright.hw"}) & set(modules)
    assert len(modules) < 400


@slow
@pytest.mark.skipif(not MODELS.is_dir(), reason="needs the networks in shared/models beside the repository")
@pytest.mark.parametrize("name", TINY)
def test_second_run_from_the_shell(
    name: str, compiled: Mapping[str, tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python keeps the bytecode of the first run, as it does where nobody forbids it."""
    resource = pytest.importorskip("resource")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    subprocess.run(start_up(*compiled[name]), check=True, capture_output=True)

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return float(usage.ru_utime + usage.ru_stime)

    times = []
    for _ in range(9):
        before, began = spent(), time.perf_counter()
        subprocess.run(start_up(*compiled[name]), check=True, capture_output=True)
        times.append((spent() - before, time.perf_counter() - began))
    processor, wall = np.median(times, axis=0)
    print(
        f"\n{name}: tilewright run, imports, load and run together: "
        f"{processor:.2f} s of processor time, {wall:.2f} s on the clock"
    )
    assert processor < 0.35
    assert wall < 0.5
