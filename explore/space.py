"""Which hardware is searched: parameters with their values, and what of it is legal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from math import prod
from typing import Any

from ..config import Config, legal_values
from ..errors import ConfigError

__all__ = ["Parameter", "Space", "default_space"]

# What is worth searching: of everything that `Config` admits, from the smallest network to the largest FPGA here.
# `multiplier_bits` stays at 32, with which a network computes exactly what its model file says.
_SEARCHED: dict[str, tuple[int, int]] = {
    "rows": (1, 4),
    "block_in": (4, 32),
    "block_out": (4, 32),
    "act_depth": (512, 1 << 14),
    "act_banks": (2, 8),
    "wgt_depth": (64, 1 << 12),
    "acc_depth": (128, 1 << 12),
    "acc_banks": (2, 8),
    "bias_depth": (32, 128),
    "scale_depth": (32, 128),
    "bus_bits": (64, 256),
    "queue_depth": (4, 16),
    "vector_lanes": (1, 32),
}


@dataclass(frozen=True)
class Parameter:
    """A field of :class:`Config` and the values it is given, ascending."""

    name: str
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        legal = legal_values(self.name)
        if not self.values:
            raise ConfigError(f"{self.name} must have at least one value to search")
        for value in self.values:
            if value not in legal:
                # `Config` says which rule of its own it breaks.
                Config(name="the space").replace(**{self.name: value})
                raise ConfigError(f"{self.name} must be a legal value, not {value} (in the space)")
        object.__setattr__(self, "values", tuple(sorted(set(self.values))))


@dataclass(frozen=True)
class Space:
    """Hardware to choose from.

    Parameters
    ----------
    parameters
        In an order of no meaning: equal spaces are equal whatever order they were given in.
    base
        What all points have in common.

    Raises
    ------
    ConfigError
        A value is none that its parameter may have, or a parameter is given twice.
    """

    parameters: tuple[Parameter, ...]
    base: Config = field(default_factory=Config)

    def __post_init__(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{name} must be given once, not {names.count(name)} times (in the space)")
        order = [entry.name for entry in fields(Config)]
        ordered = sorted(self.parameters, key=lambda parameter: order.index(parameter.name))
        object.__setattr__(self, "parameters", tuple(ordered))

    @property
    def size(self) -> int:
        """Combinations of values, those that are not legal included."""
        return prod(len(parameter.values) for parameter in self.parameters)

    def config(self, values: Mapping[str, int]) -> Config:
        """The point with these values. Equal hardware has an equal hash, however it is written.

        Raises
        ------
        ConfigError
            It is not legal; the message names the limit that binds.
        """
        chosen = self.base.replace(name="a point of the space", **values)
        sizes = f"{chosen.rows}x{chosen.block_in}x{chosen.block_out}"
        return chosen.replace(name=f"{sizes}-{chosen.hash[:6]}")

    def values_of(self, config: Config) -> dict[str, int] | None:
        """The values that make `config`; None where it is not in the space."""
        values = {parameter.name: getattr(config, parameter.name) for parameter in self.parameters}
        inside = all(values[parameter.name] in parameter.values for parameter in self.parameters)
        return values if inside and self.config(values).hash == config.hash else None

    def combinations(self) -> Iterator[dict[str, int]]:
        """All of them, in one order, legal or not."""
        names = [parameter.name for parameter in self.parameters]
        for values in product(*(parameter.values for parameter in self.parameters)):
            yield dict(zip(names, values, strict=True))

    def narrowed(self, chosen: Mapping[str, Sequence[int]]) -> "Space":
        """This space with other values for some parameters; with one value alone a parameter is no longer searched."""
        given = {parameter.name: parameter.values for parameter in self.parameters} | dict(chosen)
        return Space(tuple(Parameter(name, tuple(values)) for name, values in given.items()), self.base)

    def to_json(self) -> dict[str, Any]:
        """Canonical: equal spaces give equal data."""
        values = {parameter.name: list(parameter.values) for parameter in self.parameters}
        return {"parameters": values, "base": self.base.canonical_text}


def default_space() -> Space:
    """What is searched unless one says otherwise."""
    parameters = []
    for name, (low, high) in _SEARCHED.items():
        values = tuple(value for value in legal_values(name) if low <= value <= high and not value & (value - 1))
        parameters.append(Parameter(name, values))
    return Space(tuple(parameters))
