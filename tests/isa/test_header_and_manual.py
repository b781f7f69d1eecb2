"""What is derived from the table for C compilers and for people."""

import shutil
import subprocess

import numpy as np
import pytest
from tilewright.errors import ProgramError
from tilewright.isa.generated_page import updated
from tilewright.isa.header import c_header
from tilewright.isa.instruction import Instruction
from tilewright.isa.manual import PATH, generated
from tilewright.isa.registers import COUNTERS, REGISTERS, counter_address
from tilewright.isa.table import INSTRUCTIONS, ErrorCode, Opcode


def printer():
    """A C program that reads instructions and prints every field of each."""
    cases = []
    for spec in INSTRUCTIONS:
        names = [field.name for field in spec.fields if field.name not in ("opcode", "reserved")]
        prints = " ".join(f'printf("%lld ", (long long)tw_{spec.name.lower()}_{name}(raw));' for name in names)
        cases.append(f"case TW_OPCODE_{spec.name}: {prints} break;")
    registers = " ".join(f'printf("%u ", TW_REG_{entry.name});' for entry in REGISTERS)
    counters = " ".join(f'printf("%u ", TW_COUNTER_{name.upper()});' for name in COUNTERS)
    return (
        '#include <stdio.h>\n#include "tilewright.h"\nint main(void) {\n'
        f'{registers} {counters} printf("%d\\n", TW_ERROR_WATCHDOG);\n'
        "uint8_t raw[TW_INSTRUCTION_BYTES];\nwhile (fread(raw, sizeof raw, 1, stdin)) {\n"
        f"switch (tw_sync_opcode(raw)) {{ {' '.join(cases)} default: return 1; }}\n"
        'printf("\\n"); }\nreturn 0; }\n'
    )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_c_decodes_as_python_does(tmp_path):
    (tmp_path / "tilewright.h").write_text(c_header())
    (tmp_path / "print.c").write_text(printer())
    warnings = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-unused-function"]
    command = ["gcc", "-std=c11", *warnings, "-O1", "-o", "print", "print.c"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    rng = np.random.default_rng(5)
    program = []
    for number in range(300):
        spec = INSTRUCTIONS[number % len(INSTRUCTIONS)]
        fields = [field for field in spec.fields if field.name not in ("opcode", "reserved")]
        choose = [lambda f: int(rng.integers(f.low, f.high + 1)), lambda f: f.low, lambda f: f.high]
        program.append(Instruction(spec.opcode, {f.name: choose[int(rng.integers(3))](f) for f in fields}))
    raw = b"".join(instruction.encode() for instruction in program)
    done = subprocess.run([tmp_path / "print"], input=raw, capture_output=True, check=True, timeout=60)
    head, *lines = done.stdout.decode().splitlines()
    addresses = [entry.address for entry in REGISTERS] + [counter_address(name) for name in COUNTERS]
    assert [int(word) for word in head.split()] == [*addresses, ErrorCode.WATCHDOG]
    assert [[int(word) for word in line.split()] for line in lines] == [list(i.values.values()) for i in program]


def test_the_manual_is_current():
    assert updated(PATH, generated()) == PATH.read_text(encoding="utf-8"), "run: python -m tilewright.isa.manual"


def test_the_manual_names_every_field_and_register():
    text = generated()
    for spec in INSTRUCTIONS:
        assert f"### {spec.name} (opcode {int(spec.opcode)})" in text
    assert "`bound0` … `bound5`" in text
    for entry in REGISTERS:
        assert entry.name.startswith("SEGMENT") or f"`{entry.name}`" in text
    assert all(f"`{name}`" in text for name in COUNTERS)
    assert len(Opcode) == len(INSTRUCTIONS)


def test_a_page_without_a_place_for_tables(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marker", encoding="utf-8")
    with pytest.raises(ProgramError, match="must hold the line"):
        updated(page, generated())
