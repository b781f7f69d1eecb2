import shutil
from pathlib import Path

import pytest
from tilewright import toolchain
from tilewright.errors import DeviceError


def test_missing_tool_says_what_to_install() -> None:
    with pytest.raises(DeviceError, match=r"the thing must have no-such-a or no-such-b on PATH.*apt-get install gcc"):
        toolchain.find_tool(["no-such-a", "no-such-b"], purpose="the thing", package="gcc")


def test_failing_tool_shows_its_words(tmp_path: Path) -> None:
    assert toolchain.run_tool(["echo", "hello"]) == "hello\n"
    with pytest.raises(DeviceError, match=r"ls must succeed, not exit with status 2: .*no-such"):
        toolchain.run_tool(["ls", tmp_path / "no-such"])
    with pytest.raises(DeviceError, match="no-such-tool must be runnable"):
        toolchain.run_tool(["no-such-tool"])


def test_identities_are_not_empty() -> None:
    assert toolchain.cpu_identity()
    assert "echo" in toolchain.tool_identity("echo")


def test_another_file_has_another_identity(tmp_path: Path) -> None:
    link = tmp_path / "compiler"
    echo = shutil.which("echo")
    assert echo is not None
    link.symlink_to(echo)
    first = toolchain.file_identity(str(link))
    assert toolchain.file_identity(str(link)) == first
    (tmp_path / "newer").write_text("")
    link.unlink()
    link.symlink_to(tmp_path / "newer")
    assert toolchain.file_identity(str(link)) != first
