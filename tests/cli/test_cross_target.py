"""A whole program whose host code is for another CPU."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tilewright.isa.program import Call, Program
from tilewright.models import DIGITS

TRIPLE = "aarch64-unknown-linux-gnu"
AARCH64, RELOCATABLE = 183, 1  # ELF's e_machine and e_type
SYMBOLS, LOCAL_FILE_BYTES = 2, 24


def elf(object_: bytes) -> tuple[int, int, set[str]]:
    """(type, machine, symbols that it defines for others) of a 64-bit little-endian object."""
    assert object_[:6] == b"\x7fELF\x02\x01"
    kind, machine = struct.unpack_from("<HH", object_, 16)
    (table,) = struct.unpack_from("<Q", object_, 0x28)
    size, count = struct.unpack_from("<HH", object_, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", object_, table + n * size) for n in range(count)]
    defined = set()
    for section in sections:
        if section[1] == SYMBOLS:
            names = sections[section[6]][4]
            for place in range(section[4], section[4] + section[5], LOCAL_FILE_BYTES):
                name, info, _, home = struct.unpack_from("<IBBH", object_, place)
                if info >> 4 and home:
                    defined.add(object_[names + name : object_.index(b"\0", names + name)].decode())
    return kind, machine, defined


@pytest.mark.parametrize("target", ["accelerator", "host"])
def test_a_program_for_aarch64(tilewright: Callable, tmp_path: Path, image: Path, target: str) -> None:
    path = tmp_path / "digits.tw"
    words = ("compile", DIGITS, "-c", "tiny", "-o", path, "--target", target, "--triple", TRIPLE)
    assert tilewright(*words, "--cpu", "cortex-a72").status == 0
    program = Program.load(path)
    assert program.host is not None
    assert (program.host.triple, program.host.cpu) == (TRIPLE, "cortex-a72")
    kind, machine, defined = elf(program.host.object)
    assert (kind, machine) == (RELOCATABLE, AARCH64)
    called = {step.symbol for step in program.steps if isinstance(step, Call)}
    assert called and called <= defined and set(program.host.symbols) <= defined
    complaint = tilewright("run", path, "-i", image).complaint
    assert f"not {TRIPLE} (cortex-a72): compile the model on this machine" in complaint
    assert tilewright(*words).status == 0
    assert Program.load(path).host.cpu == "generic"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--triple", "moon-1"), "triple must name a CPU that LLVM knows, such as"),
        (("--triple", TRIPLE, "--cpu", "z80"), f"processor must be one that LLVM knows for {TRIPLE}, not 'z80'"),
        (("--features", "+warp"), "not '+warp': leave it out for the generic one"),
        (
            ("--features", "+neon,sve", "--triple", TRIPLE),
            "features must each begin with + or -, such as +avx2,-fma, not",
        ),
        (("--triple", "x86_64-unknown-linux-gnu", "--cpu", "cortex-a72"), "not 'cortex-a72': leave it out"),
        (("--triple", "x86_64-unknown-linux-gnu", "--cpu", "pentium3"), "for x86_64-unknown-linux-gnu, not 'pentium3'"),
    ],
)
def test_unknown_targets(tilewright: Callable, tmp_path: Path, words: tuple[str, ...], problem: str) -> None:
    path = tmp_path / "digits.tw"
    assert problem in tilewright("compile", DIGITS, "-c", "tiny", "-o", path, *words).complaint
    assert not path.exists()


def test_a_cpu_of_this_kind(tilewright: Callable, tmp_path: Path, image: Path) -> None:
    """The generic CPU of this machine's own triple runs everywhere."""
    import llvmlite.binding as llvm

    path, triple = tmp_path / "digits.tw", llvm.get_process_triple()
    generic = "x86-64" if triple.startswith("x86_64") else "generic"
    assert tilewright("compile", DIGITS, "-c", "tiny", "-o", path, "--cpu", generic).status == 0
    assert Program.load(path).host.cpu == generic
    assert tilewright("run", path, "-i", image, "-d", "oracle").status == 0
