"""Puts off, in Verilator's C++, what registers alone will read, until one of these registers may change.

Verilator computes a signal after every edge of a clock on which its inputs depend, though the clocks of those who read
it may sleep for long. Before the first of them wakes, its inputs are still what they were: it is computed then.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from operator import or_

from .generated import Call, Function, Statement, members, read_function, with_bodies, words

__all__ = ["Lazy", "made_lazy"]


@dataclass(frozen=True)
class Lazy:
    """C++ with less to do after an edge.

    Members
    -------
    texts
        The files.
    functions
        They compute what was put off.
    entry
        It calls them. It must run before all else; ``fired`` is the set of the edges there.
    """

    texts: Mapping[str, str]
    functions: str
    entry: str


def made_lazy(
    texts: Mapping[str, str], model: str, calls: Sequence[Call], inputs: Set[str], outputs: Set[str]
) -> Lazy | None:
    """Put off what can wait.

    Parameters
    ----------
    texts
        The files in which members of the class `model` are used after its start, by names.
    calls
        All that happens at edges, in this order.
    inputs, outputs
        Members that others set or look at between two evaluations.

    Returns
    -------
    None where the C++ is not as Verilator 5.006 writes it.
    """
    functions = [function for k, call in enumerate(calls) if (function := read_function(texts, call, k))]
    if len(functions) != len(calls) or len({call.function for call in calls}) != len(calls):
        return None
    rest = "".join(with_bodies(texts, [(function, "") for function in functions]).values())
    flow = _Flow(functions, inputs | outputs | words(rest), inputs | members(rest) | (words(rest) - outputs))
    flow.put_off()
    groups = defaultdict(list)
    for statement in flow.statements:
        if statement.needed:
            groups[statement.needed].append(statement)
    # A group's statements read of other groups only what is asked for at more edges than they are: that comes first.
    order = sorted(groups, key=lambda edges: (-edges.bit_count(), edges))
    return Lazy(
        with_bodies(texts, [(f, "".join(s.text for s in f.statements if not s.needed)) for f in functions]),
        "".join(_late(model, edges, flow.with_locals(groups[edges]), functions) for edges in order),
        "".join(f"    if (fired & {edges:#x}U) tilewright_late_{edges:x}(vlSelf);\n" for edges in order),
    )


def _late(model: str, edges: int, statements: Sequence[Statement], functions: Sequence[Function]) -> str:
    """Locals of different functions may have the same name."""
    text = f"static void tilewright_late_{edges:x}({model}* vlSelf) {{\n"
    for number, group in groupby(statements, key=lambda statement: statement.place[0]):
        parts = list(group)
        names = [s.target.partition(" ")[2] for s in parts if " " in s.target]
        text += "    {\n" + "".join(f"    {functions[number].kinds[name]} {name};\n" for name in names)
        text += "".join(s.text for s in parts) + "    }\n"
    return text + "}\n\n"


class _Flow:
    """Who sets and who reads what. Others look at the names in `seen`, and may set those in `changed`."""

    def __init__(self, functions: Sequence[Function], seen: Set[str], changed: Set[str]) -> None:
        self.statements = [statement for function in functions for statement in function.statements]
        self._seen = seen
        self._changed = changed
        self._readers: dict[str, list[Statement]] = defaultdict(list)
        self._setters: dict[str, list[Statement]] = defaultdict(list)
        for statement in self.statements:
            for name in statement.reads:
                self._readers[name].append(statement)
            for name in statement.sets:
                self._setters[name].append(statement)
        self._steady: set[Statement] = set()
        for statement in self.statements:
            if "_comb_" in statement.call.function and statement.plain and self._alone(statement):
                self._steady.add(statement)

    def _alone(self, statement: Statement) -> bool:
        """Whether its target has, till the next edges, the value that it would have then if it were computed again."""
        setters = self._setters[statement.target]
        return len(setters) == 1 and all(self._lasts(name, statement) for name in statement.reads)

    def _lasts(self, name: str, reader: Statement) -> bool:
        """Whether all that sets it runs before `reader`, and makes `reader` run too."""
        setters = self._setters[name]
        if " " in name:
            return len(setters) == 1 and setters[0] in self._steady and setters[0].place < reader.place
        return name not in self._changed and all(
            setter.place < reader.place and not setter.call.edges & ~reader.call.edges for setter in setters
        )

    def put_off(self) -> None:
        """Find out what can wait, and for which edges: fewer than those after which it would be computed now."""
        for statement in reversed(self.statements):
            if statement in self._steady and statement.target not in self._seen:
                waits = [self._waits(reader, statement) for reader in self._readers[statement.target]]
                edges = reduce(or_, waits, 0)
                if all(waits) and edges != statement.call.edges and not edges & ~statement.call.edges:
                    statement.needed = edges

    @staticmethod
    def _waits(reader: Statement, setter: Statement) -> int:
        """For which edges the reader waits; 0 where it does not. At edges, registers read what was before."""
        return reader.call.edges if reader.place < setter.place else reader.needed

    def with_locals(self, statements: Sequence[Statement]) -> list[Statement]:
        """`statements` and those that set the locals that they use, in the order in which they run."""
        found: dict[Statement, None] = {}
        waiting = list(statements)
        while waiting:
            statement = waiting.pop()
            if statement not in found:
                found[statement] = None
                waiting += (self._setters[name][0] for name in statement.reads if " " in name)
        return sorted(found, key=lambda statement: statement.place)
