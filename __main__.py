"""The command ``tilewright``, from the moment that its modules are imported."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C while it is being imported ends it like Ctrl-C later on."""
    try:
        from .cli import main as run
    except KeyboardInterrupt:
        print("tilewright: interrupted", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
