"""What the registers can't hold is refused where it is stated, for every device."""

from typing import Any

import pytest
from tilewright.errors import ProgramError
from tilewright.isa.launch import Launch

WORD = (1 << 32) - 1
ADDRESS = "from 0 to 0xffffffffffffffff"
NUMBER = "from 0 to 4294967295"


def test_the_largest_numbers() -> None:
    top = (1 << 64) - 64
    launch = Launch(top, WORD, ((top, WORD),), watchdog=WORD)
    assert launch.segments == ((top, WORD), *((0, 0),) * 7)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"program": 1 << 64}, f"program address must be {ADDRESS}, not 0x10000000000000000"),
        ({"program": -64}, f"program address must be {ADDRESS}, not -0x40"),
        ({"program": 32}, "program address must be a multiple of 64, not 0x20"),
        ({"count": 1 << 32}, f"instruction count must be {NUMBER}, not 4294967296"),
        ({"count": -1}, f"instruction count must be {NUMBER}, not -1"),
        ({"watchdog": 1 << 32}, f"watchdog must be {NUMBER}, not 4294967296"),
        ({"watchdog": -1}, f"watchdog must be {NUMBER}, not -1"),
        ({"segments": ((0, 0), (0, 1 << 32))}, f"limit of segment 1 must be {NUMBER}, not 4294967296"),
        ({"segments": ((0, -1),)}, f"limit of segment 0 must be {NUMBER}, not -1"),
        ({"segments": ((1 << 64, 1),)}, f"base of segment 0 must be {ADDRESS}, not 0x10000000000000000"),
        ({"segments": ((8, 1),)}, "base of segment 0 must be a multiple of 64, not 0x8"),
    ],
)
def test_what_does_not_fit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        Launch(**{"program": 0, "count": 1, **values})
    assert str(caught.value) == f"a launch's {message}"


def test_too_many_segments() -> None:
    with pytest.raises(ProgramError, match=r"^a launch must have at most 8 segments, not 9$"):
        Launch(0, 1, ((0, 0),) * 9)
