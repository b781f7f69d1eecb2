"""The hardware configuration: one frozen, validated object that every layer reads.

Sizes are in the machine's own units. A *granule* is the unit of activation memory,
``min(block_in, block_out)`` bytes; a *tile* is ``block_out × block_in`` weight bytes; an
accumulator *cell* is ``block_out`` 32-bit integers.
"""

import hashlib
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from .errors import ConfigError

__all__ = ["PRESETS", "Config", "legal_values", "load_config"]

_KIB = 1024


@dataclass(frozen=True, kw_only=True)
class Config:
    """All parameters of one accelerator.

    Parameters
    ----------
    name
        What people call it. Not part of the hash: two names for the same hardware are the same.
    rows
        Activation rows multiplied by one weight tile in a cycle; each has memories of its own.
    block_in, block_out
        Input and output channels of a weight tile.
    act_depth, act_banks
        Activation memory of one row, in granules, and its banks.
    wgt_depth
        Weight memory in tiles.
    acc_depth, acc_banks
        Accumulator memory of one row, in cells, and its banks.
    bias_depth, scale_depth
        Per-channel parameter memories, in cells of ``block_out`` channels.
    tables
        Lookup tables of 256 entries each.
    bus_bits
        Width of the AXI4 data bus.
    address_bits
        Width of a DRAM address.
    burst_beats
        Longest AXI4 burst.
    reads_outstanding
        Read bursts in flight at once.
    queue_depth
        Instructions waiting before each engine.
    token_bits
        Width of a token counter; it holds at most ``2 ** token_bits - 1``.
    vector_lanes
        Channels that the vector engine works on in a cycle.
    multiplier_bits
        Width of the requantisation multiplier, signed; 32 gives TFLite's arithmetic exactly.

    Raises
    ------
    ConfigError
        A value breaks a rule; the message names the parameter, the rule and the value.
    """

    name: str = "custom"
    rows: int = 1
    block_in: int = 16
    block_out: int = 16
    act_depth: int = 8192
    act_banks: int = 4
    wgt_depth: int = 1024
    acc_depth: int = 1024
    acc_banks: int = 4
    bias_depth: int = 128
    scale_depth: int = 64
    tables: int = 2
    bus_bits: int = 64
    address_bits: int = 32
    burst_beats: int = 32
    reads_outstanding: int = 8
    queue_depth: int = 8
    token_bits: int = 6
    vector_lanes: int = 16
    multiplier_bits: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            expected = str if field.name == "name" else int
            if type(getattr(self, field.name)) is not expected:
                raise self._error(field.name, f"be a {'string' if expected is str else 'whole number'}")
        if not self.name or not self.name.isprintable() or set(self.name) & set('"\\'):
            raise self._error("name", "be printable, not empty, and without quotes or backslashes")
        for field_name, (low, high) in _RANGES.items():
            if not low <= getattr(self, field_name) <= high:
                raise self._error(field_name, f"be from {low} to {high}")
        for field_name in _POWERS_OF_TWO:
            value = getattr(self, field_name)
            if value & (value - 1):
                raise self._error(field_name, "be a power of two")
        if self.vector_lanes > self.block_out:
            raise self._error("vector_lanes", f"be at most block_out ({self.block_out})")
        words = self.act_depth // (self.channels // self.granule)
        for memory, depth, banks in (("act", words, self.act_banks), ("acc", self.acc_depth, self.acc_banks)):
            if depth < 2 * banks:
                raise self._error(f"{memory}_banks", f"leave at least 2 words in a bank ({depth} words in all)")
        if self.burst_beats * self.bus_bytes > 4 * _KIB:
            raise self._error("burst_beats", f"fit 4096 bytes, so be at most {4 * _KIB // self.bus_bytes}")

    def _error(self, field_name: str, rule: str) -> ConfigError:
        return ConfigError(f"{field_name} must {rule}, not {getattr(self, field_name)!r} (in {self.name})")

    @property
    def granule(self) -> int:
        """Bytes of the activation memory's unit of address."""
        return min(self.block_in, self.block_out)

    @property
    def channels(self) -> int:
        """Channels that lie together in an activation tensor: ``max(block_in, block_out)``."""
        return max(self.block_in, self.block_out)

    @property
    def bus_bytes(self) -> int:
        return self.bus_bits // 8

    @property
    def macs_per_cycle(self) -> int:
        return self.rows * self.block_in * self.block_out

    @property
    def on_chip_bytes(self) -> int:
        """Bytes of all on-chip memories of every row."""
        per_row = self.act_depth * self.granule + self.acc_depth * self.block_out * 4
        shared = (
            self.wgt_depth * self.block_in * self.block_out
            + self.bias_depth * self.block_out * 4
            + self.scale_depth * self.block_out * 8
            + self.tables * 256
        )
        return self.rows * per_row + shared

    @property
    def canonical_text(self) -> str:
        """Every parameter that shapes the hardware, in declaration order, as TOML."""
        return "".join(f"{f.name} = {getattr(self, f.name)}\n" for f in fields(self) if f.name != "name")

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that stand for the hardware; the core shows them in a register."""
        return hashlib.sha256(self.canonical_text.encode()).hexdigest()[:16]

    def to_toml(self) -> str:
        return f'name = "{self.name}"\n{self.canonical_text}'

    def replace(self, **changes: Any) -> "Config":
        return replace(self, **changes)

    def differences(self, other: "Config") -> list[str]:
        """``"block_in: 16, not 8"`` for each parameter in which `other` differs from this one."""
        return [
            f"{f.name}: {getattr(self, f.name)}, not {getattr(other, f.name)}"
            for f in fields(self)
            if f.name != "name" and getattr(self, f.name) != getattr(other, f.name)
        ]

    @classmethod
    def from_toml(cls, text: str, *, origin: str = "configuration") -> "Config":
        """Read what differs from the defaults; `origin` names the text in errors.

        Raises
        ------
        ConfigError
            The text is not TOML, names an unknown parameter, or a value breaks a rule.
        """
        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{origin} must be TOML: {' '.join(str(error).split())}") from None
        return cls.from_dict(values, origin=origin)

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, origin: str = "configuration") -> "Config":
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(f"{key} is not a parameter (in {origin}); the parameters are {', '.join(known)}")
        config = cls(**{**values, "name": origin})  # errors name the origin, whatever the configuration's own name
        return config.replace(name=values["name"]) if "name" in values else config


_RANGES = {
    "rows": (1, 8),
    "block_in": (4, 64),
    "block_out": (4, 64),
    "act_depth": (16, 1 << 16),
    "act_banks": (1, 16),
    "wgt_depth": (2, 1 << 16),
    "acc_depth": (4, 1 << 16),
    "acc_banks": (1, 16),
    "bias_depth": (2, 1 << 12),
    "scale_depth": (2, 1 << 12),
    "tables": (1, 8),
    "bus_bits": (64, 512),
    "address_bits": (32, 64),
    "burst_beats": (1, 256),
    "reads_outstanding": (1, 64),
    "queue_depth": (2, 64),
    "token_bits": (1, 8),
    "vector_lanes": (1, 64),
    "multiplier_bits": (8, 32),
}
_POWERS_OF_TWO = (
    *("rows", "block_in", "block_out", "act_depth", "act_banks", "wgt_depth", "acc_depth", "acc_banks"),
    *("bias_depth", "scale_depth", "tables", "bus_bits", "burst_beats", "vector_lanes"),
)

# In look-up tables: as block RAMs are 512 deep at the least, these wide memories would take as many however few cells.
_FEW_PARAMETERS = {"bias_depth": 32, "scale_depth": 32}

PRESETS: dict[str, dict[str, Any]] = {
    "vta-16": {},
    "tiny": {
        "block_in": 4,
        "block_out": 4,
        "act_depth": 1024,
        "act_banks": 2,
        "wgt_depth": 256,
        "acc_depth": 256,
        "acc_banks": 2,
        "bias_depth": 32,
        "scale_depth": 32,
        "tables": 1,
        "burst_beats": 16,
        "reads_outstanding": 4,
        "queue_depth": 4,
        "vector_lanes": 4,
    },
    "wide-32": {
        "block_in": 32,
        "block_out": 32,
        "wgt_depth": 512,
        "bus_bits": 256,
        "vector_lanes": 32,
    },
    "8x16": {
        "block_in": 8,
        "block_out": 16,
        "act_banks": 8,
        "vector_lanes": 8,
    },
    "ecp5-4x4": {
        "block_in": 4,
        "block_out": 4,
        "act_banks": 2,
        "wgt_depth": 2048,
        "acc_banks": 2,
        **_FEW_PARAMETERS,
        "tables": 1,
        "burst_beats": 16,
        "reads_outstanding": 4,
        "queue_depth": 4,
        "vector_lanes": 4,
    },
    "ecp5-8x8": {
        "block_in": 8,
        "block_out": 8,
        "wgt_depth": 2048,
        "acc_banks": 2,
        **_FEW_PARAMETERS,
        "vector_lanes": 8,
    },
    "ecp5-8x16": {
        "block_in": 8,
        "block_out": 16,
        "acc_banks": 2,
        **_FEW_PARAMETERS,
        "vector_lanes": 4,
    },
    "ecp5-16x16": {
        "act_depth": 4096,
        "wgt_depth": 512,
        "acc_depth": 512,
        "acc_banks": 2,
        **_FEW_PARAMETERS,
        "vector_lanes": 4,
    },
}


def legal_values(parameter: str) -> tuple[int, ...]:
    """All values that a parameter may have by itself, ascending; `Config` judges them together.

    Raises
    ------
    ConfigError
        There is no such parameter of the hardware.
    """
    if parameter not in _RANGES:
        raise ConfigError(f"{parameter} is not a parameter of the hardware; those are {', '.join(_RANGES)}")
    low, high = _RANGES[parameter]
    powers = parameter in _POWERS_OF_TWO
    return tuple(v for v in range(low, high + 1) if not (powers and v & (v - 1)))


def load_config(name_or_path: str) -> Config:
    """A preset by name, or a TOML file by path.

    Raises
    ------
    ConfigError
        Neither a preset nor a readable file, or the file breaks a rule.
    """
    if name_or_path in PRESETS:
        return Config(**{"name": name_or_path, **PRESETS[name_or_path]})
    path = Path(name_or_path)
    if not path.is_file():
        why = "which is a folder" if path.is_dir() else "and no file has that name"
        presets = ", ".join(PRESETS)
        raise ConfigError(f"configuration must be a preset ({presets}) or a TOML file, not {name_or_path!r}, {why}")
    try:
        return Config.from_toml(path.read_text(encoding="utf-8"), origin=path.name)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"configuration {name_or_path} must be readable text: {reason}") from None
