"""Dividers of the phase-locked loop."""

import pytest
from tilewright.errors import ConfigError
from tilewright.fpga.soc.clocking import PllDividers


@pytest.mark.parametrize("given", [25, 50, 100])
@pytest.mark.parametrize("wanted", [25, 50, 60, 85, 95, 105, 120, 150])
def test_the_loop_makes_what_is_wanted_within_its_limits(given: int, wanted: int) -> None:
    dividers = PllDividers.between(given * 1_000_000, wanted * 1_000_000)
    assert given / dividers.input * dividers.feedback == pytest.approx(wanted)
    assert 400 <= wanted * dividers.output <= 800
    assert given / dividers.input >= 3.125


@pytest.mark.parametrize("wanted, nearest", [(50_000_001, 50), (1_000_000, 5), (500_000_000, 400), (48_000_000, 50)])
def test_what_it_can_not_make_is_refused(wanted: int, nearest: int) -> None:
    told = f"^clock must be .* that an ECP5's PLL makes of 25 MHz, not {wanted / 1e6:.9g} MHz: take {nearest} MHz"
    with pytest.raises(ConfigError, match=told):
        PllDividers.between(25_000_000, wanted)
