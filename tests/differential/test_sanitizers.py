"""Random programs on the native simulator, on two threads, under GCC's sanitizers.

The sanitizers must be in a process before anything else, so the programs run in one of their own. Only in a soak
(TILEWRIGHT_PROGRAMS from 100,000 on).
"""

import os
import subprocess
import sys

import pytest
from tilewright.toolchain import find_c_compiler, has_compiler

SOAK = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "0") >= 100_000
PROGRAMS = 1000
# A build takes 20 seconds: every shape once, and every way of multiplying at least twice.
CASES = [
    ("tiny-2-rows", "native", "memory"), ("vta-16", "native", "memory"), ("64x4", "native", "memory"),
    ("wide-32", "native", "memory"), ("16x8", "avx2", "memory"), ("8x16", "avx2", "memory"),
    ("16x8", "portable", "memory"), ("wide-32", "portable", "memory"),
    ("vta-16", "native", "threads"), ("64x4", "native", "threads"), ("tiny-2-rows", "avx2", "threads"),
    ("16x8", "portable", "threads"),
]  # fmt: skip
LIBRARIES = {"memory": ("asan", "ubsan"), "threads": ("tsan",)}

SCRIPT = """
import os, sys
del os.environ["LD_PRELOAD"]  # not into the compiler
from tilewright.config import Config, load_config
from tilewright.isa.random_programs import random_program
from tilewright.simulator.agreement import COMPARISON_DRAM_BYTES, compare
from tilewright.simulator.dram import Dram
from tilewright.simulator.native import NativeSimulator

configs = {
    "tiny-2-rows": load_config("tiny").replace(name="tiny-2-rows", rows=2),
    "16x8": Config(block_in=16, block_out=8, rows=4, acc_depth=256, vector_lanes=4, multiplier_bits=16),
    "64x4": Config(block_in=64, block_out=4, act_depth=1024, acc_depth=64, vector_lanes=4, bus_bits=512),
}
name, cpu, sanitizer, programs = sys.argv[1:]
config = configs.get(name) or load_config(name)
simulator = NativeSimulator(
    config, dram=Dram(size=COMPARISON_DRAM_BYTES), cpu=cpu, threads=2, at_once=True, sanitize=sanitizer
)
for seed in range(int(programs)):
    print(name, cpu, seed, flush=True)
    compare(random_program(config, 4_000_000 + seed, points=(40, 160, 1200)[seed % 3]), [simulator], may_fail=True)
    for memory in range(1, 6):
        simulator.peek(memory)
simulator.close()
print("done")
"""


@pytest.mark.skipif(not SOAK, reason="builds slowly with sanitizers: for a soak")
@pytest.mark.skipif(not has_compiler() or sys.platform != "linux", reason="needs a C compiler with sanitizers")
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_no_sanitizer_complains(case: tuple[str, str, str]) -> None:
    compiler = find_c_compiler("this test")
    found = [
        subprocess.check_output([compiler, f"-print-file-name=lib{name}.so"], text=True) for name in LIBRARIES[case[2]]
    ]
    libraries = ":".join(path.strip() for path in found)
    if "/" not in libraries:
        pytest.skip("the compiler has no sanitizers")
    environment = {
        **os.environ,
        "LD_PRELOAD": libraries,
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *case, str(PROGRAMS)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stdout[-200:] + done.stderr[-4000:]
