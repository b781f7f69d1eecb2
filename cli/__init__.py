"""The command ``tilewright``. Heavy libraries are imported by the command that needs them, not before."""

import os
import sys

import click

from ..config import PRESETS
from ..errors import TilewrightError
from . import area, demo, hardware, program
from . import bisect as bisect_command
from . import bitstream as bitstream_command
from . import compile as compile_command
from . import debug as debug_command
from . import explore as explore_command
from . import export as export_command
from . import inspect as inspect_command
from . import profile as profile_command
from . import simulate_board as simulate_board_command
from . import timing_check as timing_check_command
from . import tuning as tuning_command
from . import verify as verify_command
from .interrupt import INTERRUPTED, end_when_interrupted

__all__ = ["main"]

_USER_ERROR = 2
_BROKEN_PIPE = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tilewright")
def cli() -> None:
    """Design, simulate and program tensor accelerators."""


for command in (
    compile_command.compile_model,
    inspect_command.inspect,
    verify_command.verify,
    bisect_command.bisect,
    program.run,
    profile_command.profile,
    debug_command.debug,
    program.disassemble,
    program.assemble,
    program.check,
    hardware.config,
    hardware.verilog,
    area.area,
    bitstream_command.bitstream,
    simulate_board_command.simulate_board,
    export_command.export,
    explore_command.explore,
    timing_check_command.timing_check,
    tuning_command.tuning,
    demo.demo,
):
    cli.add_command(command)
cli.epilog = f"Configurations: {', '.join(PRESETS)}, or a TOML file."


def main() -> None:
    """Run the command line; every error a user can mend is one line, and exit status 2."""
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
