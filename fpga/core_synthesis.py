"""The core by itself through Yosys, elaborated or mapped to a family's cells; kept in the cache."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ..cache import cached_build
from ..config import Config
from .elaboration import elaborate, elaboration_key, read_inventory
from .families import FAMILIES, Family
from .inventory import Inventory
from .synthesis import Synthesis, read_synthesis, require_yosys, synthesis_key, synthesise

__all__ = ["core_design", "elaborated_core", "synthesised_core"]

_TOP = "tilewright"
_LANGUAGE = "rtlil"  # from which bitstreams are made too


@lru_cache(maxsize=32)
def core_design(config: Config) -> str:
    """The core as Yosys' own text; in this process it is made once."""
    from ..hw.verilog import core_rtlil

    return core_rtlil(config)


def elaborated_core(config: Config, *, progress: Callable[[str], object] = lambda text: None) -> Inventory:
    """Seconds.

    Raises
    ------
    DeviceError
        Yosys is not installed.
    """
    require_yosys(next(iter(FAMILIES.values())))

    def build(directory: Path) -> None:
        progress(f"Elaborating {config.name}: some seconds.")
        elaborate(core_design(config), directory, top=_TOP)

    return read_inventory(cached_build(elaboration_key(config), build, name="inventory"), top=_TOP)


def synthesised_core(
    config: Config, family: Family, *, progress: Callable[[str], object] = lambda text: None
) -> Synthesis:
    """Minutes.

    Raises
    ------
    DeviceError
        Yosys is not installed, or refuses the design.
    """
    require_yosys(family)
    progress(f"Describing {config.name}: some seconds.")
    design = core_design(config)

    def build(directory: Path) -> None:
        progress(f"Synthesising for {family.name}: one to ten minutes, by the configuration's size; kept.")
        synthesise(design, family, directory, top=_TOP, language=_LANGUAGE)

    key = synthesis_key(design, family, top=_TOP, language=_LANGUAGE)
    return read_synthesis(cached_build(key, build, name=f"area-{family.name}"), family, top=_TOP)
