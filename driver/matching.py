"""Refusing a core of another configuration, with the reason."""

from ..config import PRESETS, Config, load_config
from ..errors import DeviceError

__all__ = ["require_hash", "require_same"]


def require_same(wanted: Config, actual: Config, *, what: str = "program", device: str = "device") -> None:
    """Raise DeviceError, naming what differs, unless `actual`, the device's, is the hardware `wanted`."""
    if wanted.hash == actual.hash:
        return
    differences = "; ".join(actual.differences(wanted))
    raise DeviceError(
        f"{device} must have the configuration of the {what} ({wanted.name}), but it is {actual.name} with "
        f"{differences}: compile for {actual.name}, or open a device of {wanted.name}"
    )


def require_hash(wanted: Config, shown: str, *, known: tuple[Config, ...] = (), device: str = "device") -> None:
    """As :func:`require_same` for a device that shows only the hash; `known` and the presets may explain it."""
    if shown == wanted.hash:
        return
    for candidate in (*known, *(load_config(name) for name in PRESETS)):
        if candidate.hash == shown:
            require_same(wanted, candidate, device=device)
    raise DeviceError(
        f"{device} must have the configuration hash {wanted.hash} ({wanted.name}), not {shown}, which is no "
        "configuration known here: give the configuration that it was built from"
    )
