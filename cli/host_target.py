"""Options that say whom host code is for."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from ..compiler.assemble import HostTarget

__all__ = ["host_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--triple", help="Whom host code is for: an LLVM triple, such as aarch64-unknown-linux-gnu."),
    click.option("--cpu", help="Its CPU in LLVM's terms, such as cortex-a72; the triple's generic one by default."),
    click.option("--features", help="What that CPU has beside, such as +sve,-crypto."),
)


def host_options(command: Command) -> Command:
    """``--triple``, ``--cpu`` and ``--features``, which `command` gets as one argument `host`, None without them."""

    @wraps(command)
    def collected(*, triple: str | None, cpu: str | None, features: str | None, **others: Any) -> Any:
        host: HostTarget | None = None
        if triple or cpu or features:
            from ..compiler.assemble import HostTarget as Chosen

            host = Chosen(triple=triple, cpu=cpu, features=features)
        return command(host=host, **others)

    decorated: Callable[..., Any] = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return cast(Command, decorated)
