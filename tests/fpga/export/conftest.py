"""An export of `tiny`, made once."""

from pathlib import Path

import pytest
from tilewright.config import load_config
from tilewright.fpga.export.package import exported_files, write_files


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    settings = {"clock_mhz": 75, "jobs": 2, "buffer_bytes": 1 << 25}
    write_files(folder, exported_files(load_config("tiny"), vivado=True, fusesoc=True, **settings))
    return folder
