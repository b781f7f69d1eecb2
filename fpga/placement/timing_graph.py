"""The paths of a design: what a static timing analysis of it goes through."""

from collections import defaultdict
from collections.abc import Sequence

from .ecp5_delays import arcs_through, launch, setup
from .placed_design import Cell

__all__ = ["TimingGraph"]

_GLOBAL = ("DCCA", "EHXPLLL")


class TimingGraph:
    """Nets with a driver that are not on the clock network, and how signals go from each to the next.

    Members
    -------
    nets
        Driver and users of each, as numbers of cells.
    wires
        The connections: driver, its port, user, its port.
    constants
        Likewise, of nets that never change; they are in nothing else.
    launches
        ns after the clock's edge at which each net gets its value, where a register drives it; else 0.
    arcs
        Net, connection that leaves it, net that the cell behind makes of it, ns that the cell takes; in an order in
        which all that enter a net come before those that leave it. Loops are cut.
    ends
        Net, connection to a register, its setup time in ns.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        driver, constant = dict[int, tuple[int, str]](), dict[int, tuple[int, str]]()
        for number, cell in enumerate(cells):
            if cell.type not in _GLOBAL:
                drives = constant if cell.constant else driver
                drives.update((net, (number, port)) for port, net in cell.outputs.items())
        numbers = {net: number for number, net in enumerate(driver)}
        users: list[list[int]] = [[] for _ in numbers]
        self.wires: list[tuple[int, str, int, str]] = []
        self.constants: list[tuple[int, str, int, str]] = []
        self.ends: list[tuple[int, int, float]] = []
        self.launches = [launch(cells[number], port) for number, port in driver.values()]
        arcs = list[tuple[int, int, int, float]]()
        for number, cell in enumerate(cells):
            through = defaultdict[str, list[tuple[str, float]]](list)
            for port, output, delay in arcs_through(cell):
                through[port].append((output, delay))
            for port, net in cell.inputs.items():
                if net in constant:
                    self.constants.append((*constant[net], number, port))
                if net not in numbers:
                    continue
                source, connection = numbers[net], len(self.wires)
                users[source].append(number)
                self.wires.append((*driver[net], number, port))
                for output, delay in through[port]:
                    arcs.append((source, connection, numbers[cell.outputs[output]], delay))
                before = setup(cell, port)
                if before is not None:
                    self.ends.append((source, connection, before))
        self.nets = [(number, used) for (number, _), used in zip(driver.values(), users, strict=True)]
        self.arcs = _ordered(arcs, len(numbers))


def _ordered(arcs: Sequence[tuple[int, int, int, float]], nets: int) -> list[tuple[int, int, int, float]]:
    """Kahn's topological order; arcs of loops are left out."""
    leaving: list[list[tuple[int, int, int, float]]] = [[] for _ in range(nets)]
    waiting = [0] * nets
    for arc in arcs:
        leaving[arc[0]].append(arc)
        waiting[arc[2]] += 1
    ready, ordered = [net for net in range(nets) if not waiting[net]], list[tuple[int, int, int, float]]()
    for net in ready:
        for arc in leaving[net]:
            ordered.append(arc)
            waiting[arc[2]] -= 1
            if not waiting[arc[2]]:
                ready.append(arc[2])
    return ordered
