"""What is put off is computed before anyone sees that it was; what is not understood is left as it is."""

import random
import subprocess
from pathlib import Path

import pytest
from tilewright.simulator.cycle.generated import Call
from tilewright.simulator.cycle.laziness import made_lazy

MODEL = "Vtop___024root"
A, B, C = 1, 2, 4
FORM = """\
VL_INLINE_OPT void {name}({model}* vlSelf) {{
    if (false && vlSelf) {{}}  // Prevent unused
    Vtop__Syms* const __restrict vlSymsp VL_ATTR_UNUSED = vlSelf->vlSymsp;
    VL_DEBUG_IF(VL_DBG_MSGF("+    {name}\\n"); );
{locals}    // Body
{body}}}
"""


def function(name: str, *body: str, local: tuple[str, ...] = ()) -> str:
    init = "".join(f"    CData/*7:0*/ {word};\n    {word} = 0;\n" for word in local)
    text = "".join(f"    {statement}\n" for statement in body)
    return FORM.format(name=name, model=MODEL, locals=f"    // Init\n{init}" if local else "", body=text)


def sequent(*body: str) -> str:
    return function("nba_sequent_b", *body)


def lazy(calls: list[Call], *functions: str, outputs: frozenset[str] = frozenset()) -> tuple[str, str]:
    """The functions afterwards, and what is late."""
    done = made_lazy({"top.cpp": "".join(functions)}, MODEL, calls, {"pin"}, outputs)
    assert done
    return done.texts["top.cpp"], done.functions


READER = sequent("vlSelf->q = vlSelf->x;")
CALLS = [Call("nba_sequent_b", B), Call("nba_comb_0", A | B)]


def test_what_only_a_sleeping_register_reads_waits_for_its_clock() -> None:
    setter = function("nba_comb_0", "vlSelf->x \n        = (1U & (~ (IData)(vlSelf->r)));", "vlSelf->y = vlSelf->r;")
    done = made_lazy({"a.cpp": READER, "b.cpp": "int before;\n" + setter + "int after;\n"}, MODEL, CALLS, set(), set())
    assert done
    assert done.texts["a.cpp"] == READER
    assert done.texts["b.cpp"] == "int before;\n" + function("nba_comb_0", "vlSelf->y = vlSelf->r;") + "int after;\n"
    assert done.entry == "    if (fired & 0x2U) tilewright_late_2(vlSelf);\n"
    assert done.functions == (
        f"static void tilewright_late_2({MODEL}* vlSelf) {{\n    {{\n"
        "    vlSelf->x \n        = (1U & (~ (IData)(vlSelf->r)));\n    }\n}\n\n"
    )


def test_a_local_is_computed_wherever_it_is_read() -> None:
    body = ("t = (vlSelf->r + 1U);", "u = (t + 1U);", "vlSelf->x = (t ^ u);", "vlSelf->y = t;")
    now, late = lazy(CALLS, READER, function("nba_comb_0", *body, local=("t", "u")))
    assert now.endswith(function("nba_comb_0", body[0], body[3], local=("t", "u")))
    assert "    CData/*7:0*/ t;\n    CData/*7:0*/ u;\n" + "".join(f"    {s}\n" for s in body[:3]) in late


@pytest.mark.parametrize(
    ("reader", "setter", "calls"),
    [
        (READER, "vlSelf->x = vlSelf->pin;", CALLS),
        (READER, "vlSelf->x = vlSelf->seen;", [*CALLS, Call("nba_comb_1", A | B | C)]),
        (READER, "vlSelf->x = helper(vlSelf->r);", CALLS),
        (READER, "vlSelf->x = vlSelf->changed;", CALLS),
        (READER, "vlSelf->x = (vlSelf->r + vlSelf->x);", CALLS),
        (READER, "vlSelf->x = vlSelf->q;", [CALLS[0], Call("nba_comb_0", A)]),
        (READER, "vlSelf->x = (vlSelf->r = 1U);", CALLS),
        (READER, "vlSelf->x[0U] = vlSelf->r;", CALLS),
        (READER, "vlSelf->x |= vlSelf->r;", CALLS),
        (READER, "if (vlSelf->r) {\n        vlSelf->x = 1U;\n    }", CALLS),
        (READER, "vlSelf->x = 1U;\n    vlSelf->x = vlSelf->r;", CALLS),
        (READER, "vlSelf->x = vlSelf->r;\n    vlSelf->out = vlSelf->x;", CALLS),
        (READER, "vlSelf->x = vlSelf->r;\n    vlSelf->y[vlSelf->x] = 1U;", CALLS),
        (READER, "vlSelf->x = vlSelf->r;\n    helper(vlSelf->x);", CALLS),
        (sequent("vlSelf->q = vlSelf->out;"), "vlSelf->out = vlSelf->r;", CALLS),
        (sequent("vlSelf->q = vlSelf->elsewhere;"), "vlSelf->elsewhere = vlSelf->r;", CALLS),
        (READER, "vlSelf->x = vlSelf->r;", [CALLS[0], Call("nba_comb_0", B)]),
        (READER, "vlSelf->x = vlSelf->r;", [CALLS[0], Call("nba_comb_0", A)]),
        (READER, "vlSelf->x = vlSelf->r;", CALLS[::-1]),
    ],
    ids=[
        "an input from outside", "an input that comes later", "a function that is not known", "set elsewhere",
        "its own value", "an input that changes without it", "two values set", "a part", "added to", "a condition",
        "set twice", "a port reads it", "as an index", "by its address", "a port", "read elsewhere", "nothing gained",
        "asked for more often than computed", "read after it",
    ],
)  # fmt: skip
def test_what_cannot_wait_does_not(reader: str, setter: str, calls: list[Call]) -> None:
    later = function("nba_comb_1", "vlSelf->seen = vlSelf->pin;")
    other = "void other(Vtop___024root* vlSelf) {\n    vlSelf->changed = vlSelf->elsewhere;\n}\n"
    texts = (reader, function("nba_comb_0", setter), later, other)
    assert lazy(calls, *texts, outputs=frozenset({"out"})) == ("".join(texts), "")


@pytest.mark.parametrize(
    "text",
    [
        READER,
        READER + function("nba_comb_0", "vlSymsp->TOP.x = 1U;"),
        READER + function("nba_comb_0", "vlSelf->x = 1U;").replace("    // Body\n", ""),
        READER + function("nba_comb_0", "vlSelf->x = 1U;") * 2,
        READER + function("nba_comb_0", "t = 1U;", local=("t",)).replace("t = 0;", "t = vlSelf->r;"),
    ],
    ids=["no such function", "another class", "no body", "two of them", "locals that begin with something"],
)
def test_another_form_is_refused(text: str) -> None:
    assert made_lazy({"top.cpp": text}, MODEL, CALLS, set(), set()) is None


PRELUDE = f"""\
#include <cstdlib>
#include <cstring>
#define VL_INLINE_OPT static
#define VL_ATTR_UNUSED
#define VL_DEBUG_IF(text)
using CData = unsigned char;
using IData = unsigned;
struct Vtop__Syms;
struct Registers {{ CData {", ".join(f"r{n}" for n in range(12))}; }};
struct {MODEL} : Registers {{
    Vtop__Syms* vlSymsp;
    CData {", ".join(f"c{n}" for n in range(40))};
}};
template <typename Now, typename Late> int differ(Now now, Late late) {{
    {MODEL} one{{}};
    now(&one, ~0U);
    {MODEL} two = one;
    for (int k = 0; k < 5000; ++k) {{
        const unsigned fired = rand() % 8U;
        now(&one, fired), late(&two, fired);
        if (memcmp(static_cast<Registers*>(&one), static_cast<Registers*>(&two), sizeof(Registers))) return 1;
        if (one.c7 != two.c7) return 1;
    }}
    return 0;
}}
"""


def design(dice: random.Random) -> tuple[str, list[Call]]:
    """Registers of three clocks read signals that follow from them and from one another, through locals too."""
    clocks = [dice.choice((A, B, C)) for _ in range(12)]
    edges = {f"vlSelf->r{n}": clock for n, clock in enumerate(clocks)}
    blocks: list[tuple[int, list[str], list[str]]] = []
    for k in range(40):
        sources = dice.sample(sorted(edges), dice.randint(1, 3))
        mask = 0
        for source in sources:
            mask |= edges[source]
        if not blocks or blocks[-1][0] != mask:
            blocks.append((mask, [], []))
        _, body, local = blocks[-1]
        value = " + ".join(f"((IData)({name}) ^ {dice.randint(2, 99)}U)" for name in sources + local[-1:])
        if dice.random() < 0.3:
            body.append(f"t{k} = ({value});")
            local.append(f"t{k}")
            value = f"t{k} + (IData)({sources[0]})"
        if dice.random() < 0.8:
            body.append(f"vlSelf->c{k} = ({value});")
        else:
            body.append(f"if ({sources[0]}) {{\n        vlSelf->c{k} = ({value});\n    }}")
        edges[f"vlSelf->c{k}"] = mask
    read = [f"(IData)(vlSelf->c{dice.randrange(40)})" for _ in range(24)]
    text = "".join(
        function(f"nba_sequent_{clock}", *(
            f"vlSelf->r{n} = (1U + {read[2 * n]} + {read[2 * n + 1]});" for n in range(12) if clocks[n] == clock
        ))
        for clock in (A, B, C)
    )  # fmt: skip
    text += "".join(function(f"nba_comb_{n}", *body, local=tuple(loc)) for n, (_, body, loc) in enumerate(blocks))
    calls = [Call(f"nba_sequent_{clock}", clock) for clock in (A, B, C)]
    return text, [*calls, *(Call(f"nba_comb_{n}", mask) for n, (mask, _, _) in enumerate(blocks))]


def test_random_logic_cannot_tell(tmp_path: Path) -> None:
    program, checks, late = [PRELUDE], [], 0
    for seed in range(12):
        text, calls = design(random.Random(seed))
        done = made_lazy({"top.cpp": text}, MODEL, calls, set(), {"c7"})
        assert done
        late += done.functions.count("vlSelf->c")
        work = "".join(f"    if (fired & {call.edges}U) {call.function}(vlSelf);\n" for call in calls)
        head = f"static void dispatch({MODEL}* vlSelf, unsigned fired) {{\n"
        program += [f"namespace now{seed} {{\n{text}{head}{work}}}\n}}\n"]
        program += [f"namespace late{seed} {{\n{done.texts['top.cpp']}{done.functions}{head}{done.entry}{work}}}\n}}\n"]
        checks.append(f"    if (differ(now{seed}::dispatch, late{seed}::dispatch)) return {seed + 1};\n")
    assert late > 100
    (tmp_path / "random.cpp").write_text("".join([*program, "int main() {\n", *checks, "    return 0;\n}\n"]))
    subprocess.run(["g++", "-std=gnu++17", "-w", "random.cpp", "-o", "random"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "random"], check=False).returncode == 0
