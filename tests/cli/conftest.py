"""The command line in this process, and files to give it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tilewright.cli import main
from tilewright.compiler.compile import compile_model
from tilewright.config import load_config
from tilewright.models import DIGITS, DIGITS_TEST


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of an error that the user can mend."""
        assert self.status == 2, (self.status, self.out, self.err)
        lines = self.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("tilewright"), self.err
        assert "Traceback" not in self.err and len(lines[0]) < 1200
        return lines[0]


@pytest.fixture
def tilewright(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*words: object) -> Ended:
        monkeypatch.setattr("sys.argv", ["tilewright", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Ended(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's network compiled for `tiny`."""
    path = tmp_path_factory.mktemp("digits") / "digits.tw"
    compile_model(DIGITS, load_config("tiny")).save(path)
    return path


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One digit as the network's input."""
    path = tmp_path_factory.mktemp("image") / "image.npz"
    with np.load(DIGITS_TEST) as test:
        np.savez(path, image=test["images"][:1])
    return path
