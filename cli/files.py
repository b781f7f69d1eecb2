"""Reading and writing the command line's files, with errors that name them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from ..errors import ProgramError

__all__ = ["config_option", "out_option", "read_arrays", "write_arrays", "write_text"]

config_option = click.option(
    "--config", "-c", default="vta-16", show_default=True, help="Configuration: a preset's name or a TOML file."
)


def out_option(required: bool, what: str):  # type: ignore[no-untyped-def]
    """``--out/-o``, a file for `what`."""
    return click.option("--out", "-o", type=click.Path(path_type=Path), required=required, help=f"File for {what}.")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an npz file by name.

    Raises
    ------
    ProgramError
        It is missing, damaged, or holds Python objects.
    """
    if not path.is_file():
        raise ProgramError(f"inputs must be an npz file, and {path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ProgramError(f"inputs must be an npz file with an array for each input, and {path} is not one")
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ProgramError(f"inputs must be an npz file of plain arrays, and {path} is not: {error}") from None


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an npz file; an interrupted write leaves nothing half done at `path`."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path | None, text: str) -> None:
    """To the file, or to the terminal where there is none."""
    if path is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
