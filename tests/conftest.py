"""What tests in several folders share.

Tests of hardware components run here: cocotb's on Icarus Verilog, those of small parts on Amaranth's own simulator.
What random programs reach is counted over all processes of a run, and printed at its end.
"""

import gc
import os
import shutil
import subprocess

import pytest
from tilewright.isa.coverage import Coverage

_REACHED = pytest.StashKey[Coverage]()
_CAMPAIGN_PROGRAMS = int(os.environ.get("TILEWRIGHT_PROGRAMS") or "2000")
_SOAK_PROGRAMS = 100_000


def pytest_configure(config):
    config.stash[_REACHED] = Coverage()


def pytest_collection_finish():
    """What was imported and collected stays to the end: a twentieth of all time went into looking through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session")
def reached(request):
    """Takes the programs on which all simulators have agreed."""
    return request.config.stash[_REACHED]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    if text := getattr(node, "workeroutput", {}).get("reached"):
        node.config.stash[_REACHED].merge(text)


def pytest_sessionfinish(session):
    """A soak that leaves out a bin has failed."""
    coverage = session.config.stash[_REACHED]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["reached"] = coverage.to_json()
    elif coverage.programs >= max(_CAMPAIGN_PROGRAMS, _SOAK_PROGRAMS) and coverage.missing:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    if (coverage := config.stash[_REACHED]).programs:
        terminalreporter.section("programs on which oracle, native simulator and Verilog agree")
        terminalreporter.write_line(str(coverage))
    for report in terminalreporter.stats.get("passed", ()):
        for name, line in report.user_properties:
            if name == "figure":  # as tests recorded it with record_property
                terminalreporter.write_line(line)


@pytest.fixture
def simulate(request, tmp_path, monkeypatch):
    """``simulate(component, cocotb_module, **environment)`` fails the test if any cocotb test failed.

    The module lies beside the test.
    """
    if shutil.which("iverilog") is None or subprocess.run(["iverilog", "-V"], capture_output=True).returncode:
        pytest.fail("component tests need Icarus Verilog: apt-get install iverilog")
    from cocotb_tools.runner import get_runner
    from tilewright.hw.verilog import to_verilog

    monkeypatch.syspath_prepend(request.path.parent)

    def run(component, module, **environment):
        source = tmp_path / "dut.v"
        source.write_text(to_verilog(component, name="dut"))
        runner = get_runner("icarus")
        log = tmp_path / "simulator.log"
        runner.build(
            sources=[source],
            hdl_toplevel="dut",
            build_dir=tmp_path,
            timescale=("1ns", "1ps"),
            log_file=log,
            always=True,
        )
        try:
            runner.test(
                test_module=module,
                hdl_toplevel="dut",
                build_dir=tmp_path,
                test_dir=tmp_path,
                seed=1,
                extra_env=environment,
                results_xml=str(tmp_path / "results.xml"),
                log_file=log,
            )
        except SystemExit:
            lines = [line for line in log.read_text().splitlines() if "cocotb.dut" not in line]
            pytest.fail("cocotb tests failed:\n" + "\n".join(lines[-80:]), pytrace=False)

    return run


@pytest.fixture
def testbench():
    """``testbench(component, body, *watchers)`` runs the coroutine ``body(context)`` beside `component`, with a clock.

    Watchers run beside it, and end with it.
    """
    from amaranth.sim import Simulator

    def run(component, body, *watchers):
        simulator = Simulator(component)
        simulator.add_clock(1e-6)
        simulator.add_testbench(body)
        for watcher in watchers:
            simulator.add_testbench(watcher, background=True)
        simulator.run()

    return run
