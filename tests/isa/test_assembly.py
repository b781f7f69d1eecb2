"""Text to instructions and back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tilewright.errors import ProgramError
from tilewright.isa.assembly import assemble, assemble_line, disassemble, disassemble_line
from tilewright.isa.instruction import Instruction, decode
from tilewright.isa.random_programs import random_program
from tilewright.isa.table import INSTRUCTIONS


@st.composite
def instructions(draw):
    spec = draw(st.sampled_from(INSTRUCTIONS))
    values = {}
    for field in spec.fields:
        if field.name not in ("opcode", "reserved"):
            usual = st.sampled_from([0, 1] if field.high else [0])
            values[field.name] = draw(
                usual | st.sampled_from([field.low, field.high]) | st.integers(field.low, field.high)
            )
    return Instruction(spec.opcode, values)


@settings(max_examples=300, deadline=None)
@given(instructions())
def test_round_trip_of_any_field_values(instruction):
    assert assemble_line(disassemble_line(instruction)) == instruction
    assert decode(instruction.encode()) == instruction


def test_round_trip_of_programs(tiny):
    for seed in range(20):
        program = list(random_program(tiny, seed).instructions)
        assert assemble(disassemble(program)) == program
        assert assemble("; head\n\n" + disassemble(program, numbered=True)) == program


def test_the_form_is_readable():
    text = (
        "LOAD bounds=2,8 mem=ACT@0:8,1 dram=0@64:32 wait=GEMM+STORE row_mask=1\n"
        "GEMM bounds=4,16 act=0:0,1 wgt=0:1,0 acc=0:0,1 signal=VECTOR overwrite_mask=16\n"
        "VECTOR bounds=4 a=ACC@3:1 b=ACT@0 dst=ACT@7:-1 channel_strides=1 function=SUM scale_enable=1\n"
        "SYNC wait=LOAD engine=GEMM\n"
        "FINISH\n"
    )
    assert disassemble(assemble(text)) == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("JUMP x=1", "line 2: an instruction must be one of FINISH, LOAD, STORE, GEMM, VECTOR, SYNC, not JUMP"),
        ("LOAD mem", "line 2: LOAD mem must be followed by =value"),
        ("LOAD row_mask=1 row_mask=1", "line 2: LOAD row_mask is given twice"),
        ("LOAD row=1", "line 2: LOAD row is not a field"),
        ("FINISH wait=LOAD", "line 2: FINISH wait is not a field"),
        ("LOAD row_mask=256", "line 2: LOAD row_mask must be from 0 to 255, not 256"),
        ("LOAD bounds=1,2,3,4,5", "line 2: LOAD bounds must be at most 4 loops, not 5"),
        ("LOAD bounds=1,65536", "line 2: LOAD bounds (bound3) must be from 0 to 65535, not 65536"),
        ("LOAD mem=3", "line 2: LOAD mem must be place@address[:strides], not '3'"),
        ("LOAD mem=DDR@3", "line 2: LOAD mem must be ACT, ACC, WGT, BIAS, SCALE, TABLE or a number, not 'DDR'"),
        ("STORE bounds=2,2 dram=0@0:1,1", "line 2: STORE dram must have 1 strides, not 2"),
        ("GEMM bounds=2 act=0:x", "line 2: GEMM act must be a number, not 'x'"),
        ("GEMM wait=FETCH", "line 2: GEMM wait must be engines joined by +, not 'FETCH'"),
        ("VECTOR function=MEAN", "line 2: VECTOR function must be ZERO, SUM, MAX, MIN, MAC or a number, not 'MEAN'"),
        ("VECTOR a=WGT@0", "line 2: VECTOR a (a_memory) must be from 0 to 1, not WGT"),
        ("VECTOR a=ACT@" + "9" * 9999, "line 2: VECTOR a (a_base) must be from 0 to 65535, not " + "9" * 40),
    ],
)
def test_errors_name_line_and_field(line, message):
    with pytest.raises(ProgramError) as caught:
        assemble(f"FINISH\n{line}\n")
    assert str(caught.value) == message
