"""The command ``tilewright``. Heavy libraries are imported by the command that needs them, not before."""

import sys

import click

from ..config import PRESETS
from ..errors import TilewrightError
from . import compile as compile_command
from . import demo, hardware, program

__all__ = ["main"]

_USER_ERROR = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tilewright")
def cli() -> None:
    """Design, simulate and program tensor accelerators."""


for command in (
    compile_command.compile_model,
    program.run,
    program.disassemble,
    program.assemble,
    program.check,
    hardware.config,
    hardware.verilog,
    demo.demo,
):
    cli.add_command(command)
cli.epilog = f"Configurations: {', '.join(PRESETS)}, or a TOML file."


def main() -> None:
    """Run the command line; every error a user can mend is one line, and exit status 2."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        print("tilewright: interrupted", file=sys.stderr)
        sys.exit(130)
    except TilewrightError as error:
        print(f"tilewright: {error}", file=sys.stderr)
        sys.exit(_USER_ERROR)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        print(f"tilewright: file{where} can't be used: {error.strerror or error}", file=sys.stderr)
        sys.exit(_USER_ERROR)
