"""Lets the harness tell the model which clocks have an edge, where otherwise Verilator's scheduler finds out.

The scheduler compares every clock with its last value, before and after each evaluation. The harness knows the edges:
it has made them.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from .generated import Call
from .laziness import Lazy, made_lazy

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
_CALL = re.compile(
    rf"    if \((?P<when>(?:[\s()|]|{_FIRED.pattern})+)\) \{{\n        (?P<function>\w+)\(vlSelf\);\n    \}}(?:\n|$)"
)
_BEGIN = "    // Body\n"
_PORT = re.compile(r"\bVL_(IN|OUT)\w*\(\W*(\w+)")


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
    named = {path.name: text for path, text in texts.items()}
    lazy = _lazy(output, named, match)
    if lazy:
        named = {name: lazy.texts[name] for name in named}
    named[path.name] = _with_entry(named[path.name], match, sorted(edges.values()), lazy)
    for other, text in texts.items():
        if named[other.name] != text:
            other.write_text(named[other.name], encoding="utf-8")
    (output / _HEADER).write_text(_header(match[2], edges, clocks), encoding="utf-8")
    return True


def _lazy(output: Path, texts: dict[str, str], blocks: re.Match[str]) -> Lazy | None:
    """Where all that happens at edges is calls of functions, and the model is but one class."""
    _, model, body = blocks.groups()
    headers = {path.name: path.read_text(encoding="utf-8") for path in output.glob("*.h")}
    own, code = headers.pop(f"{model}.h", ""), body.partition(_BEGIN)[2]
    if not own or not code or _CALL.sub("", code):
        return None
    calls = []
    for match in _CALL.finditer(code):
        numbers = {int(number, 0) for number in _FIRED.findall(match["when"])}
        calls.append(Call(match["function"], sum(1 << number for number in numbers)))
    ports = {way: {name for to, name in _PORT.findall(own) if to == way} for way in ("IN", "OUT")}
    return made_lazy({**headers, **texts}, model, calls, ports["IN"], ports["OUT"])


def _mangled(name: str) -> str:
    """As Verilator writes it."""
    return name.replace("__", "___05F")


def _header(model: str, edges: dict[str, int], clocks: Sequence[str]) -> str:
    """A clock for which nothing waits has no bit."""
    bits = {name: 1 << edges[name] if name in edges else 0 for name in map(_mangled, clocks)}
    lines = [f"constexpr unsigned kEdge_{name} = {bit:#x};" for name, bit in bits.items()]
    return "\n".join(("#pragma once", f"class {model};", *lines, f"void tilewright_dispatch({model} *, unsigned);\n"))


def _with_entry(text: str, blocks: re.Match[str], numbers: Sequence[int], lazy: Lazy | None) -> str:
    """The scheduler's own function calls the new one: there is but one copy of what it does."""
    prefix, model, body = blocks.groups()
    fired = _FIRED.sub(r"(fired >> \1U & 1U)", body)
    found = " | ".join(f"unsigned{{vlSelf->__VnbaTriggered.at({number}U)}} << {number}U" for number in numbers)
    if lazy:
        fired = fired.replace(_BEGIN, _BEGIN + lazy.entry, 1)
    entry = f"void tilewright_dispatch({model}* vlSelf, unsigned fired) {{\n{fired}\n}}\n\n"
    caller = f"void {prefix}___eval_nba({model}* vlSelf) {{\n    tilewright_dispatch(vlSelf, {found or 0});\n}}\n"
    return text.replace(blocks[0], (lazy.functions if lazy else "") + entry + caller)
