"""The file format of programs: a checked envelope around a JSON header and raw bytes.

::

    magic (8)  version (u32)  header bytes (u32)  file bytes (u64)  sha256 of all else (32)  header  blobs

The header mirrors the dataclasses; where they hold bytes, it holds a length, and the bytes follow
among the blobs in the order in which the header mentions them.
"""

import hashlib
import json
import struct
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from ..config import Config
from ..errors import ConfigError, ProgramError
from ..files import require_file
from .table import INSTRUCTION_BYTES, ISA_VERSION

__all__ = ["OPTIONAL", "pack", "read_file", "unpack"]

# Metadata of a dataclass field that older files lack; it has a default.
OPTIONAL = {"optional": True}

_MAGIC = b"TILEWRT\n"
_VERSION = 2
_HEAD = struct.Struct("<8sIIQ")
_DIGEST_BYTES = 32
_START = _HEAD.size + _DIGEST_BYTES
_MAX_HEADER = 4 << 20
_MAX_FILE = 4 << 30

T = TypeVar("T")


def pack(value: Any) -> bytes:
    """The file that stands for the dataclass `value`, whose `config` field holds a Config.

    Raises
    ------
    ProgramError
        It has too many parts.
    """
    blobs: list[bytes] = []
    header = {"isa": ISA_VERSION, "config_hash": value.config.hash, "content": _plain(value, blobs)}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > _MAX_HEADER:
        raise ProgramError(f"a program's header must have at most {_MAX_HEADER} bytes, not {len(text)}")
    body = b"".join((text, *blobs))
    head = _HEAD.pack(_MAGIC, _VERSION, len(text), _START + len(body))
    return head + _digest(head, body) + body


def _digest(head: bytes, body: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(body)
    return digest.digest()


def _plain(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, Config):
        return value.to_toml()
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name), blobs) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(entry, blobs) for entry in value]
    if isinstance(value, np.ndarray):
        value = value.tobytes()
    if isinstance(value, bytes):
        blobs.append(value)
        return len(value)
    return value


def unpack(cls: type[T], data: bytes, origin: str) -> T:
    """The inverse of :func:`pack` for the dataclass `cls`.

    Raises
    ------
    ProgramError
        One line that begins with `origin`.
    """
    try:
        return _unpack(cls, memoryview(data))
    except (ProgramError, ConfigError) as error:
        raise ProgramError(f"{origin}: {' '.join(str(error).splitlines())}") from None


def _unpack(cls: type[T], data: memoryview) -> T:
    if len(data) < _START or data[: len(_MAGIC)] != _MAGIC:
        raise ProgramError("not a program file; make one with 'tilewright compile'")
    _, version, header_bytes, file_bytes = _HEAD.unpack(data[: _HEAD.size])
    if version != _VERSION:
        raise ProgramError(f"file version must be {_VERSION}, not {version}; compile the model again")
    if file_bytes != len(data):
        raise ProgramError(f"the file must have {file_bytes} bytes, not {len(data)}: it is truncated or damaged")
    if header_bytes > min(_MAX_HEADER, len(data) - _START):
        raise ProgramError(f"the header can't have {header_bytes} bytes: the file is damaged")
    if _digest(bytes(data[: _HEAD.size]), data[_START:]) != data[_HEAD.size : _START]:
        raise ProgramError("the checksum does not match: the file is damaged; compile or copy it again")
    try:
        header = json.loads(bytes(data[_START : _START + header_bytes]))
    except (ValueError, RecursionError):
        raise ProgramError("the header must be JSON") from None
    if not isinstance(header, dict) or set(header) != {"isa", "config_hash", "content"}:
        raise ProgramError("the header must state isa, config_hash and content")
    if header["isa"] != ISA_VERSION:
        raise ProgramError(f"the instruction set must be version {ISA_VERSION}, not {header['isa']!r}; compile again")
    reader = _Reader(data[_START + header_bytes :])
    value = reader.read(cls, header["content"], "program")
    if reader.position != len(reader.blobs):
        raise ProgramError(f"{len(reader.blobs) - reader.position} bytes at the end belong to nothing")
    if header["config_hash"] != value.config.hash:
        raise ProgramError(f"config_hash must be {value.config.hash}, not {header['config_hash']!r}; compile again")
    return value  # type: ignore[no-any-return]


class _Reader:
    """Builds typed values from JSON, refusing everything that the types do not say."""

    def __init__(self, blobs: memoryview) -> None:
        self.blobs = blobs
        self.position = 0

    def read(self, kind: Any, value: Any, where: str) -> Any:
        if kind is Config:
            return Config.from_toml(self.read(str, value, where), origin="program's configuration")
        if kind in (bytes, np.ndarray):
            return self._blob(kind, value, where)
        if isinstance(kind, UnionType):
            return self._union(kind, value, where)
        if get_origin(kind) is tuple:
            if not isinstance(value, list):
                raise ProgramError(f"{where} must be a list, not {_shown(value)}")
            return tuple(self.read(get_args(kind)[0], entry, f"{where}[{n}]") for n, entry in enumerate(value))
        if is_dataclass(kind):
            return self._dataclass(kind, value, where)
        if kind is float and type(value) is int and abs(value) < 1 << 53:
            return float(value)
        if type(value) is not kind:
            raise ProgramError(f"{where} must be {kind.__name__}, not {_shown(value)}")
        return value

    def _dataclass(self, kind: Any, value: Any, where: str) -> Any:
        hints = get_type_hints(kind)
        needed = {field.name for field in fields(kind) if not field.metadata.get("optional")}
        if not isinstance(value, dict) or not needed <= set(value) <= set(hints):
            raise ProgramError(f"{where} must state {', '.join(hints)}, not {_shown(value)}")
        stated = {name: hint for name, hint in hints.items() if name in value}
        return kind(**{name: self.read(hint, value[name], f"{where}.{name}") for name, hint in stated.items()})

    def _union(self, kind: UnionType, value: Any, where: str) -> Any:
        options = [option for option in get_args(kind) if option is not NoneType]
        if value is None and len(options) < len(get_args(kind)):
            return None
        for option in options[:-1]:
            if isinstance(value, dict) and set(value) == set(get_type_hints(option)):
                return self.read(option, value, where)
        return self.read(options[-1], value, where)

    def _blob(self, kind: Any, value: Any, where: str) -> Any:
        left = len(self.blobs) - self.position
        if type(value) is not int or not 0 <= value <= left:
            raise ProgramError(f"{where} must be a length of at most {left} bytes, not {_shown(value)}")
        data = bytes(self.blobs[self.position : self.position + value])
        self.position += value
        if kind is bytes:
            return data
        if len(data) % INSTRUCTION_BYTES:
            raise ProgramError(f"{where} must be a multiple of {INSTRUCTION_BYTES} bytes, not {len(data)}")
        return np.frombuffer(data, dtype=np.uint8).reshape(-1, INSTRUCTION_BYTES)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        text = ", ".join(map(str, value)) or "nothing"
    else:
        text = repr(value) if isinstance(value, str | int | float | bool | NoneType) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:60] + "…"


def read_file(path: Path) -> bytes:
    """All bytes of a file of reasonable size.

    Raises
    ------
    ProgramError
        It can't be read or is too large.
    """
    try:
        require_file(path, "program file", error=ProgramError, way_out="make one with 'tilewright compile'")
        size = path.stat().st_size
        if size > _MAX_FILE:
            raise ProgramError(f"program file {path} must have at most {_MAX_FILE} bytes, not {size}")
        with path.open("rb") as stream:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise ProgramError(f"{path} is not a program file; make one with 'tilewright compile'")
        return path.read_bytes()
    except OSError as error:
        raise ProgramError(f"program file {path} must be readable: {error.strerror}") from None
