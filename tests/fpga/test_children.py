"""Tools end with the work that they are for."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from tilewright.errors import DeviceError
from tilewright.fpga.children import Children

_ENDLESS = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(600)"]


def test_all_end_when_they_are_stopped(tmp_path: Path) -> None:
    children = Children()

    def everything() -> tuple[str, int]:
        with children.run(_ENDLESS, tmp_path) as child:
            assert child.stdout is not None
            said = child.stdout.read()
        return said, child.returncode

    def first_line() -> str:
        with children.run([sys.executable, "-c", "print('done')"], tmp_path) as child:
            assert child.stdout is not None
            return child.stdout.readline()

    with ThreadPoolExecutor(2) as pool:
        assert pool.submit(first_line).result() == "done\n"
        running = [pool.submit(everything) for _ in range(2)]
        while len(children.running) < 2:
            sleep(0.01)
        children.stop()
        assert all(each.result()[1] < 0 for each in running)
    with pytest.raises(DeviceError, match="was not started: the work was given up"):
        everything()


def test_an_error_ends_its_own(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Children().run(_ENDLESS, tmp_path) as child:
        raise ZeroDivisionError
    assert child.returncode < 0
