"""Which points a space has, and why others are refused."""

import pytest
from tilewright.config import Config, legal_values, load_config
from tilewright.errors import ConfigError
from tilewright.explore.space import Parameter, Space, default_space


def test_values_come_from_the_limits_of_the_configuration() -> None:
    assert legal_values("rows") == (1, 2, 4, 8)
    assert legal_values("queue_depth") == tuple(range(2, 65))
    with pytest.raises(ConfigError, match=r"^name is not a parameter of the hardware; those are rows, block_in, .*"):
        legal_values("name")
    for parameter in default_space().parameters:
        assert set(parameter.values) <= set(legal_values(parameter.name)) and len(parameter.values) > 1


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("rows", (1, 3), "rows must be a power of two, not 3 "),
        ("rows", (16,), "rows must be from 1 to 8, not 16 "),
        ("act_banks", (), "act_banks must have at least one value"),
        ("speed", (1,), "speed is not a parameter of the hardware"),
    ],
)
def test_illegal_values_are_refused(name: str, values: tuple[int, ...], rule: str) -> None:
    with pytest.raises(ConfigError, match=f"^{rule}"):
        Parameter(name, values)


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ({"block_out": 4, "vector_lanes": 8}, r"vector_lanes must be at most block_out \(4\), not 8"),
        ({"act_depth": 16, "act_banks": 16}, r"act_banks must leave at least 2 words in a bank \(16 words in all\)"),
        ({"bus_bits": 512, "burst_beats": 128}, "burst_beats must fit 4096 bytes, so be at most 64, not 128"),
    ],
)
def test_an_illegal_point_names_the_limit_that_binds(values: dict[str, int], limit: str) -> None:
    space = Space(tuple(Parameter(name, (value,)) for name, value in values.items()))
    with pytest.raises(ConfigError, match=f"^{limit}"):
        space.config(values)


def test_equal_hardware_is_one_point() -> None:
    one = Space((Parameter("rows", (2, 1, 2)), Parameter("block_in", (8, 16))))
    other = Space((Parameter("block_in", (16, 8)), Parameter("rows", (1, 2))))
    assert one == other and one.to_json() == other.to_json() and one.size == 4
    hashes = {one.config(values).hash for values in one.combinations()}
    assert hashes == {other.config(values).hash for values in other.combinations()} and len(hashes) == 4
    preset = Config(name="by another name", block_in=8)
    assert one.config({"rows": 1, "block_in": 8}).hash == preset.hash
    assert one.values_of(preset) == {"rows": 1, "block_in": 8}


def test_presets_lie_in_the_space_that_is_searched() -> None:
    space = default_space()
    for name in ("vta-16", "8x16"):
        preset = load_config(name)
        values = space.values_of(preset)
        assert values is not None and space.config(values).hash == preset.hash
    assert space.values_of(load_config("tiny")) is None  # it has one table


def test_a_space_is_narrowed() -> None:
    space = default_space().narrowed({"rows": (1,), "reads_outstanding": (4, 8), "block_in": (8,)})
    values = {parameter.name: parameter.values for parameter in space.parameters}
    assert values["rows"] == (1,) and values["reads_outstanding"] == (4, 8)
    assert all(config["block_in"] == 8 for config, _ in zip(space.combinations(), range(100), strict=False))
    with pytest.raises(ConfigError, match=r"^rows must be given once, not 2 times"):
        Space((Parameter("rows", (1,)), Parameter("rows", (2,))))
