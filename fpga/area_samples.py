"""Configurations that were synthesised in full: what the area model is fitted to."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..config import Config
from .inventory import Inventory, MemoryUse, Multipliers

__all__ = ["SAMPLES", "Sample", "read_samples", "write_samples"]

SAMPLES = Path(__file__).with_name("area_samples.json")


@dataclass(frozen=True)
class Sample:
    """A configuration, what it consists of and what full synthesis made of it.

    Members
    -------
    config
        What differs from the default.
    found
        By a family's name its resources; for "gates" the number of two-input NANDs.
    design
        What tells the hardware of that day from others: a hash of its description.
    """

    name: str
    config: Mapping[str, int]
    inventory: Inventory
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    design: str = ""

    @property
    def full_config(self) -> Config:
        return Config(name=self.name, **self.config)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Sample":
        inventory = dict(values["inventory"])
        inventory["multipliers"] = tuple(Multipliers(**m) for m in inventory["multipliers"])
        inventory["memories"] = tuple(MemoryUse(**m) for m in inventory["memories"])
        return cls(**{**values, "inventory": Inventory(**inventory)})


def read_samples(path: Path = SAMPLES) -> list[Sample]:
    return [Sample.from_json(values) for values in json.loads(path.read_text(encoding="utf-8"))]


def write_samples(samples: Iterable[Sample], path: Path = SAMPLES) -> None:
    text = json.dumps([sample.to_json() for sample in samples], indent=1)
    path.write_text(text + "\n", encoding="utf-8")
