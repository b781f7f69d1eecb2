"""Reading and writing the command line's files, with errors that name them."""

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import ProgramError
from ..files import require_file, require_place, write_file

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "NumberRange",
    "config_option",
    "dense_rounding_option",
    "out_option",
    "read_arrays",
    "read_text",
    "write_array",
    "write_arrays",
    "write_text",
]

Command = TypeVar("Command", bound=Callable[..., Any])


class NumberRange(click.FloatRange):
    """A range without NaN, which no comparison finds outside."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not in the range {self._describe_range()}.", param, ctx)
        return number


_INPUTS_WAY_OUT = "make one with numpy.savez(file, name=array)"

config_option = click.option(
    "--config", "-c", default="vta-16", show_default=True, help="Configuration: a preset's name or a TOML file."
)

dense_rounding_option = click.option(
    "--dense-rounding",
    type=click.Choice(["single", "double"]),
    default="single",
    show_default=True,
    help="TFLite's fully connected layers round once (LiteRT) or twice (TFLite Micro).",
)


def _usable(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a place for results before the work for them is done."""
    if path is not None:
        require_place(path, "output file", error=ProgramError)
    return path


def out_option(required: bool, what: str, *names: str) -> Callable[[Command], Command]:
    """``--out/-o``, or `names`, a file for `what`."""
    return click.option(
        *(names or ("--out", "-o")),
        type=click.Path(path_type=Path),
        required=required,
        callback=_usable,
        help=f"File for {what}.",
    )


def read_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Arrays of an npz file by name.

    Raises
    ------
    ProgramError
        It is missing, damaged, or holds Python objects.
    """
    require_file(path, "inputs file", error=ProgramError, way_out=_INPUTS_WAY_OUT)
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise ProgramError(f"inputs file {path} must be an npz archive, and is not: {_INPUTS_WAY_OUT}") from None
    except OSError as error:
        raise ProgramError(f"inputs file {path} must be readable: {error.strerror}") from None
    with archive:
        return {name.removesuffix(".npy"): _read_array(archive, name, path) for name in archive.namelist()}


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> "np.ndarray":
    import numpy as np

    label = f"array {name.removesuffix('.npy')} of {path}"
    try:
        with archive.open(name) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for damaged data
        if "allow_pickle" in str(error):
            raise ProgramError(f"{label} must hold numbers, not Python objects: convert it and save again") from None
        raise ProgramError(f"{label} must be a whole NumPy array, and is damaged ({error}): save it again") from None


def read_text(path: Path, what: str) -> str:
    """A UTF-8 file.

    Raises
    ------
    ProgramError
        It is missing, not readable or something else.
    """
    require_file(path, what, error=ProgramError, way_out="give the path of a text file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ProgramError(f"{what} {path} must be UTF-8 text, and is not") from None
    except OSError as error:
        raise ProgramError(f"{what} {path} must be readable: {error.strerror}") from None


def write_arrays(path: Path, arrays: "Mapping[str, np.ndarray]") -> None:
    """Write an npz file, whole or not at all."""
    import numpy as np

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    write_file(path, archive.getvalue(), "output file", error=ProgramError)


def write_array(path: Path, array: "np.ndarray") -> None:
    """Write an npy file, whole or not at all."""
    import numpy as np

    content = io.BytesIO()
    np.lib.format.write_array(content, np.asarray(array), allow_pickle=False)
    write_file(path, content.getvalue(), "output file", error=ProgramError)


def write_text(path: Path | None, text: str) -> None:
    """To the file, or to the terminal where there is none."""
    if path is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        write_file(path, text.encode(), "output file", error=ProgramError)
