"""The command that exports the accelerator to other tools."""

from collections.abc import Callable
from pathlib import Path


def test_a_purpose_must_be_given(tilewright: Callable, tmp_path: Path) -> None:
    assert "--vivado, --fusesoc or both" in tilewright("export", "--config", "tiny", "--out", tmp_path).complaint


def test_files_are_written_and_listed(tilewright: Callable, tmp_path: Path) -> None:
    ended = tilewright("export", "--vivado", "--config", "tiny", "--out", tmp_path / "new/folder", "--clock", "60")
    assert ended.status == 0 and "vivado -mode batch" in ended.out
    assert "set clock_mhz 60\n" in (tmp_path / "new/folder/settings.tcl").read_text()
    assert (tmp_path / "new/folder/ip/component.xml").is_file()
    assert not (tmp_path / "new/folder/tilewright.core").exists()


def test_a_folder_that_is_a_file(tilewright: Callable, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    ended = tilewright("export", "--fusesoc", "--config", "tiny", "--out", tmp_path / "taken")
    assert "must be there to write to" in ended.complaint.splitlines()[-1]


def test_a_configuration_too_large_for_the_board(tilewright: Callable, tmp_path: Path) -> None:
    for name in ("vta-16", "wide-32"):
        said = tilewright("export", "--vivado", "--config", name, "--out", tmp_path / "out").complaint
        assert f"configuration {name} must fit pynq-z2 (XC7Z020), but takes" in said
        assert "block RAMs of 18 kbit of 280: take a smaller configuration, or --fusesoc" in said
    assert not (tmp_path / "out").exists()
