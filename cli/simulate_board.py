"""A board to try drivers on, without a board."""

import time

import click

from ..config import load_config
from .devices import memory_option
from .files import config_option

__all__ = ["simulate_board"]


@click.command("simulate-board")
@config_option
@memory_option(256)
def simulate_board(config: str, memory: int | None) -> None:
    """Simulate a whole board until interrupted; its serial port is printed, for --device uart:PORT."""
    chosen = load_config(config)
    from ..fpga.simulated_board import SimulatedBoard, simulated_system

    click.echo(f"Building the system of {chosen.name}, if it is the first of its kind: a minute or two", err=True)
    with SimulatedBoard(chosen, simulated_system(memory)) as board:
        click.echo(board.port)
        click.echo(f"tilewright run PROGRAM --device uart:{board.port}; to end, press Ctrl-C", err=True)
        while True:
            time.sleep(1)
