"""Reads the C++ that Verilator 5.006 makes: functions that run at edges of clocks, and what their statements use."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Call", "Function", "Statement", "members", "read_function", "with_bodies", "words"]

_FUNCTION = (
    r"^VL_INLINE_OPT void {}\(\w+\* vlSelf\) \{{\n(?:    .*\n){{2}}    VL_DEBUG_IF.*\n"
    r"(?:    // Init\n((?:    .*\n)*?))?    // Body\n((?:    .*\n)*)\}}\n"
)
_LOCAL = re.compile(r"    ([CSIQ]Data/\*\d+:0\*/) (\w+);\n    \2 = 0;\n")
_START = re.compile(r"^(?=    [^ }])", re.MULTILINE)
_ASSIGNMENT = re.compile(r"    (vlSelf->)?(\w+)\s*= ([\w\s()\[\]<>=!~&|^+*/%?:,-]+);\n")
_MEMBER = re.compile(r"\bvlSelf->(\w+)")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\(")
_PURE = r"[CSIQ]Data|VL_[A-Z]+_[IQ]{2,3}"
_HARMLESS = rf"if|VL_(?:UN)?LIKELY|{_PURE}"
_SETS_TOO = re.compile(r"(?<![=!<>])=(?!=)|<<=|>>=|\+\+|--")
_SET = re.compile(r"(vlSelf->)?\b(\w+)\s*(?:(?:[-+*/%&|^]|<<|>>)?=(?!=)|\.|->)")
_INDEX = re.compile(r"\[[^][]*\]")


@dataclass(frozen=True)
class Call:
    """`function` runs after an edge of a clock of the set `edges`, which has a bit for each."""

    function: str
    edges: int


@dataclass(eq=False)
class Statement:
    """A whole statement of a function.

    Members
    -------
    place
        Grows in the order in which statements run.
    reads, sets
        Names of the members that it uses; of locals, after the function's name and a blank. It may use fewer.
    plain
        Whether all it does is to give one of them, the target, a value that follows from those that it reads.
    needed
        Before which edges the value must be known, if it can wait for them; else 0.
    """

    text: str
    call: Call
    place: tuple[int, int]
    reads: frozenset[str]
    sets: frozenset[str]
    plain: bool
    needed: int = 0

    @property
    def target(self) -> str:
        (name,) = self.sets
        return name


@dataclass(frozen=True)
class Function:
    """Where in which file its statements are, and the types of its locals that are numbers."""

    file: str
    span: tuple[int, int]
    kinds: Mapping[str, str]
    statements: Sequence[Statement]


def read_function(texts: Mapping[str, str], call: Call, number: int) -> Function | None:
    """The function of the `number`-th call; None where it is not of the form that is known."""
    form = re.compile(_FUNCTION.format(re.escape(call.function)), re.MULTILINE)
    found = [(file, match) for file, text in texts.items() for match in form.finditer(text)]
    if len(found) != 1:
        return None
    ((file, match),) = found
    locals_, body = match[1] or "", match[2]
    if "vlSymsp" in body or "vlSelf" in locals_:
        return None
    kinds = {name: kind for kind, name in _LOCAL.findall(locals_)}
    parts = [part for part in _START.split(body) if part]
    statements = [_statement(part, call, (number, k), kinds) for k, part in enumerate(parts)]
    return Function(file, match.span(2), kinds, statements)


def _statement(text: str, call: Call, place: tuple[int, int], kinds: Mapping[str, str]) -> Statement:
    def keys(member: Sequence[str], local: Sequence[str]) -> frozenset[str]:
        return frozenset((*member, *(f"{call.function} {name}" for name in local)))

    if match := _ASSIGNMENT.fullmatch(text):
        of_model, name, value = match.groups()
        local = [word for word in words(_MEMBER.sub("", value)) if not re.fullmatch(_PURE, word)]
        if not _SETS_TOO.search(value) and {*local, *(() if of_model else (name,))} <= set(kinds):
            target = keys([name], []) if of_model else keys([], [name])
            return Statement(text, call, place, keys(sorted(members(value)), local), target, True)
    used = keys(sorted(members(text)), sorted(words(_MEMBER.sub("", text))))
    if "++" in text or "--" in text or not all(re.fullmatch(_HARMLESS, name) for name in _CALLED.findall(text)):
        return Statement(text, call, place, used, used, False)
    bare, before = text, ""
    while bare != before:
        bare, before = _INDEX.sub("", bare), bare
    found = _SET.findall(bare)
    sets = keys([name for of_model, name in found if of_model], [name for of_model, name in found if not of_model])
    return Statement(text, call, place, used, sets, False)


def members(text: str) -> set[str]:
    """Names of the model's members that are used in it."""
    return set(_MEMBER.findall(text))


def words(text: str) -> set[str]:
    """All names in it."""
    return set(_WORD.findall(text))


def with_bodies(texts: Mapping[str, str], bodies: Sequence[tuple[Function, str]]) -> dict[str, str]:
    """The files, with other statements in these functions."""
    edited = dict(texts)
    for function, body in sorted(bodies, key=lambda item: -item[0].span[0]):
        start, end = function.span
        edited[function.file] = edited[function.file][:start] + body + edited[function.file][end:]
    return edited
