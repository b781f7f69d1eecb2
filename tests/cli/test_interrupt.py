"""Ctrl-C and closed pipes, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tilewright.config import load_config
from tilewright.isa.instruction import finish, gemm
from tilewright.isa.program import Program, Run, encode_instructions
from tilewright.simulator.cycle import CycleSimulator
from tilewright.simulator.native import NativeSimulator

# A shell starts background jobs with Ctrl-C ignored, and children inherit that.
COMMAND = ("env", "--default-signal=INT", sys.executable, "-m", "tilewright")


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Legal, and at work for longer than anyone waits."""
    still = (0, [0] * 6)
    code = encode_instructions([gemm(bounds=[60000] * 6, act=still, wgt=still, acc=still), finish()])
    path = tmp_path / "endless.tw"
    Program(config=load_config("tiny"), instructions=code, steps=(Run(first=0, count=2),)).save(path)
    return path


@pytest.fixture(params=[NativeSimulator, CycleSimulator])
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """A device whose core has been built already."""
    request.param(load_config("tiny")).close()
    yield request.param.name


def test_ctrl_c_in_the_middle_of_a_run(endless: Path, device: str) -> None:
    out = endless.with_name("out.npz")
    words = ("run", endless, "-d", device, "-o", out)
    process = subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        wait_for_run(process, {"native": "native-", "cycle": "/model.so"}[device])
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        printed, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    *told, last = complaint.split("\n\n") if device == "cycle" else [complaint.strip()]
    assert last.strip() == "tilewright: interrupted" and printed == ""
    assert device == "native" or re.fullmatch(r"stopped after 0 of 1 instructions, [\d,]+ cycles", *told)
    assert time.monotonic() - started < 20
    assert [path.name for path in endless.parent.iterdir()] == ["endless.tw"]


def test_ctrl_c_while_the_command_is_imported() -> None:
    interrupted = (
        "import sys, tilewright.__main__ as command\n"
        "class Interrupt:\n"
        "    def find_spec(self, *which):\n"
        "        raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "command.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "tilewright: interrupted\n" and done.stdout == ""


def wait_for_run(process: subprocess.Popen[str], library: str) -> None:
    """Until the simulator's library is in the process and has had time to run: of its own, not of a clock's."""
    maps, before = Path(f"/proc/{process.pid}/maps"), None
    for _ in range(6000):
        assert process.poll() is None, process.communicate()
        if before is None and library in maps.read_text():
            before = processor_seconds(process.pid)
        elif before is not None and processor_seconds(process.pid) > before + 0.3:
            return
        time.sleep(0.02)
    pytest.fail("the simulator does not start")


def processor_seconds(process: int) -> float:
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_a_pipe_that_nobody_reads() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo ${PIPESTATUS[0]}', "bash", *COMMAND, "verilog", "-c", "tiny"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "1" and done.stderr == ""


@pytest.mark.parametrize("words", [["config"], ["--help"], ["verilog", "-c", "tiny"]])
def test_a_full_terminal(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "tilewright: the output can't be used: No space left on device\n"
