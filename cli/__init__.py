"""The command ``tilewright``. Heavy libraries are imported by the command that needs them, not before."""

import os
import sys
from importlib import import_module

import click

from ..config import PRESETS
from ..errors import TilewrightError
from .interrupt import INTERRUPTED, end_when_interrupted

__all__ = ["main"]

# NumPy's BLAS threads wait in a busy loop, from the import on: 2^10 cycles instead of 2^26.
_QUIET_BLAS = ("OPENBLAS_THREAD_TIMEOUT", "10")
_USER_ERROR = 2
_BROKEN_PIPE = 1


# Commands by name, with the module here and the function in it that each of them is.
_COMMANDS = {
    "area": ("area", "area"),
    "assemble": ("program", "assemble"),
    "bisect": ("bisect", "bisect"),
    "bitstream": ("bitstream", "bitstream"),
    "check": ("program", "check"),
    "compile": ("compile", "compile_model"),
    "config": ("hardware", "config"),
    "debug": ("debug", "debug"),
    "demo": ("demo", "demo"),
    "disassemble": ("program", "disassemble"),
    "explore": ("explore", "explore"),
    "export": ("export", "export"),
    "inspect": ("inspect", "inspect"),
    "profile": ("profile", "profile"),
    "run": ("program", "run"),
    "simulate-board": ("simulate_board", "simulate_board"),
    "timing-check": ("timing_check", "timing_check"),
    "tuning": ("tuning", "tuning"),
    "verify": ("verify", "verify"),
    "verilog": ("hardware", "verilog"),
}


class _Commands(click.Group):
    """Imports a command when it is asked for: a run should not wait for what the others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, function = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f".{module}", __package__), function)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tilewright")
def cli() -> None:
    """Design, simulate and program tensor accelerators."""


cli.epilog = f"Configurations: {', '.join(PRESETS)}, or a TOML file."


def main() -> None:
    """Run the command line; every error a user can mend is one line, and exit status 2."""
    os.environ.setdefault(*_QUIET_BLAS)
    try:
        with end_when_interrupted():
            cli(prog_name="tilewright", standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "tilewright"
        _fail(f"{error.format_message().rstrip('.')}; see {command} --help", command)
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        print("tilewright: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except TilewrightError as error:
        _fail(str(error))
    except BrokenPipeError:
        _forget_output()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        _forget_output()
        where = f"file {error.filename}" if error.filename else "the output"
        _fail(f"{where} can't be used: {error.strerror or error}")


def _fail(message: str, command: str = "tilewright") -> None:
    print(f"{command}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(_USER_ERROR)


def _forget_output() -> None:
    """What is left to print goes nowhere, instead of failing again at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
