"""Lets the harness tell the model which clocks have an edge, where otherwise Verilator's scheduler finds out.

The scheduler compares every clock with its last value, before and after each evaluation. The harness knows the edges:
it has made them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

__all__ = ["take_over"]

_HEADER = "dispatch.hpp"
_BODY = r"^void (\w+)___eval_{}\((\w+)\* vlSelf\) {{\n(.*?)\n}}\n"
_TRIGGERS = re.compile(_BODY.format("triggers__act"), re.DOTALL | re.MULTILINE)
_BLOCKS = re.compile(_BODY.format("nba"), re.DOTALL | re.MULTILINE)
_NUMBER = "(0x[0-9a-f]+|[0-9]+)"
_EDGE = re.compile(
    rf"vlSelf->__VactTriggered\.at\({_NUMBER}U\) = "
    r"\(\(IData\)\(vlSelf->(\w+)\)\s*\^ \(IData\)\(vlSelf->__Vtrigrprev__TOP__\2\)\);"
)
_FIRED = re.compile(rf"vlSelf->__VnbaTriggered\.at\({_NUMBER}U\)")


def take_over(output: Path, clocks: Sequence[str]) -> bool:
    """Give the model in Verilator's `output` an entry ``tilewright_dispatch``, and a header that declares it.

    The function takes a set of `clocks`, named ``kEdge_…`` in the header, and does what an edge of each of them would.
    Where the C++ is not as Verilator 5.006 writes it, or something but clocks is waited for, nothing is done.

    Returns
    -------
    Whether it was done.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in output.glob("*.cpp") if "__Slow" not in path.stem}
    triggers = [match for text in texts.values() for match in _TRIGGERS.finditer(text)]
    blocks = [(path, match) for path, text in texts.items() for match in _BLOCKS.finditer(text)]
    if len(triggers) != 1 or len(blocks) != 1:
        return False
    (path, match), edges = blocks[0], {name: int(number, 0) for number, name in _EDGE.findall(triggers[0][3])}
    read = sum(len(_FIRED.findall(text)) for text in texts.values())
    if triggers[0][3].count("__VactTriggered.at(") != len(edges) or len(_FIRED.findall(match[3])) != read:
        return False
    if not set(edges) <= {_mangled(clock) for clock in clocks}:
        return False
    (output / _HEADER).write_text(_header(match[2], edges, clocks), encoding="utf-8")
    path.write_text(_with_entry(texts[path], match, sorted(edges.values())), encoding="utf-8")
    return True


def _mangled(name: str) -> str:
    """As Verilator writes it."""
    return name.replace("__", "___05F")


def _header(model: str, edges: dict[str, int], clocks: Sequence[str]) -> str:
    """A clock for which nothing waits has no bit."""
    bits = {name: 1 << edges[name] if name in edges else 0 for name in map(_mangled, clocks)}
    lines = [f"constexpr unsigned kEdge_{name} = {bit:#x};" for name, bit in bits.items()]
    return "\n".join(("#pragma once", f"class {model};", *lines, f"void tilewright_dispatch({model} *, unsigned);\n"))


def _with_entry(text: str, blocks: re.Match[str], numbers: Sequence[int]) -> str:
    """The scheduler's own function calls the new one: there is but one copy of what it does."""
    prefix, model, body = blocks.groups()
    fired = _FIRED.sub(r"(fired >> \1U & 1U)", body)
    found = " | ".join(f"unsigned{{vlSelf->__VnbaTriggered.at({number}U)}} << {number}U" for number in numbers)
    entry = f"void tilewright_dispatch({model}* vlSelf, unsigned fired) {{\n{fired}\n}}\n\n"
    caller = f"void {prefix}___eval_nba({model}* vlSelf) {{\n    tilewright_dispatch(vlSelf, {found or 0});\n}}\n"
    return text[: blocks.start()] + entry + caller + text[blocks.end() :]
