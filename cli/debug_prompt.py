"""The prompt of ``tilewright debug --interactive``."""

from __future__ import annotations

import cmd
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ..errors import TilewrightError

if TYPE_CHECKING:
    from ..driver.stops import Stop, Stopped
    from ..isa.program import Program

__all__ = ["Prompt"]


class Prompt(cmd.Cmd):
    """Commands until the user quits. Each place is reached from the beginning, so going back is as easy as going on.

    Parameters
    ----------
    run
        From the beginning to a place.
    told
        A line about where the program stands.
    show
        Prints or writes what ``--dump`` would.
    """

    intro = "until PLACE, step [N], end, dump NAME[:A..B][=FILE], where, quit; help says more"
    prompt = "(debug) "

    def __init__(
        self,
        program: Program,
        stopped: Stopped,
        *,
        run: Callable[[Stop | None], Stopped],
        told: Callable[[Stopped], str],
        show: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._program = program
        self._stopped = stopped
        self._run = run
        self._told = told
        self._show = show

    def onecmd(self, line: str) -> bool:
        """A mistake is told, and the prompt goes on."""
        try:
            return super().onecmd(line)
        except TilewrightError as error:
            click.echo(str(error), err=True)
            return False

    def emptyline(self) -> bool:
        """Nothing, where `cmd` would repeat the last command."""
        return False

    def default(self, line: str) -> None:
        if line == "EOF":
            click.echo()
            self.cmdqueue = ["quit"]
        else:
            click.echo(
                f"a command must be one of until, step, end, dump, where and quit, not {line.split()[0]}", err=True
            )

    def do_until(self, place: str) -> None:
        """until instruction:N | layer:N | layer:NAME | cycle:N -- run until that is done."""
        from ..driver.stops import Stop

        self._go(Stop.parse(place, self._program))

    def do_step(self, count: str) -> None:
        """step [N] -- run until N (1) more instructions are done."""
        from ..driver.stops import Stop

        last = -1 if self._stopped.index is None else self._stopped.index
        self._go(Stop.parse(f"instruction:{last + int(count) if count.isdecimal() else last + 1}", self._program))

    def do_end(self, _: str) -> None:
        """end -- run to the end, or to the first difference."""
        self._go(None)

    def do_dump(self, what: str) -> None:
        """dump NAME[:A..B][=FILE] -- print or write a memory."""
        self._show(what)

    def do_where(self, _: str) -> None:
        """where -- say again where the program stands."""
        click.echo(self._told(self._stopped))

    def do_quit(self, _: str) -> bool:
        """quit -- leave."""
        return True

    def _go(self, place: Stop | None) -> None:
        self._stopped = self._run(place)
        click.echo(self._told(self._stopped))
