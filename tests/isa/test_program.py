"""Program files: what goes in comes out, and nothing damaged gets through."""

import hashlib
import json
import struct
import tracemalloc

import numpy as np
import pytest
from tilewright.config import load_config
from tilewright.errors import ProgramError
from tilewright.isa import instruction as build
from tilewright.isa.program import Buffer, Call, HostCode, Layer, Program, Run, Segment, Tensor, encode_instructions
from tilewright.isa.table import Engine

CODE = encode_instructions([build.sync(Engine.LOAD), build.finish()])


def parts(**changes):
    return {
        "config": load_config("tiny"),
        "instructions": CODE,
        "segments": (
            Segment(name="weights", size=100, role="constants", data=b"\x01\x02\x03"),
            Segment(name="work", size=4096, role="activations"),
        ),
        "buffers": (
            Buffer(name="in", size=64, segment=1, offset=0),
            Buffer(name="out", size=40, segment=1, offset=64),
            Buffer(name="scratch", size=40),
        ),
        "inputs": (Tensor(name="x", shape=(1, 8, 8), dtype="int8", buffer="in", scale=0.5, zero_point=-3),),
        "outputs": (Tensor(name="y", shape=(10,), dtype="float32", buffer="out"),),
        "steps": (Run(first=0, count=2), Call(symbol="softmax", arguments=("scratch", "out"))),
        "layers": (
            Layer(name="c", operator="Conv", target="accelerator", macs=9, first=0, count=1),
            Layer(name="s", operator="Softmax", target="host", macs=0, first=1, count=1),
        ),
        "host": HostCode(triple="x86_64-linux", cpu="generic", object=b"\x7fELF", symbols=("softmax",)),
        **changes,
    }


def sealed(header, blobs=b""):
    """A file with a right checksum around any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    head = struct.pack("<8sIIQ", b"TILEWRT\n", 2, len(text), 56 + len(text) + len(blobs))
    return head + hashlib.sha256(head + text + blobs).digest() + text + blobs


def header_of(data):
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[56 : 56 + length]), data[56 + length :]


def refused(data):
    with pytest.raises(ProgramError) as caught:
        Program.from_bytes(data, origin="p.tw")
    message = str(caught.value)
    assert message.startswith("p.tw: ") and "\n" not in message and len(message) < 300
    return message


def test_round_trip(tmp_path):
    program = Program(**parts())
    program.save(tmp_path / "a.tw")
    again = Program.load(tmp_path / "a.tw")
    for name, value in parts().items():
        if name != "instructions":
            assert getattr(again, name) == value
    assert np.array_equal(again.instructions, CODE) and not again.instructions.flags.writeable
    assert again.to_bytes() == program.to_bytes()
    assert [i.opcode.name for i in again.decoded()] == ["SYNC", "FINISH"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tw"]


def test_a_file_from_before_races_were_noted():
    assert Program.from_bytes(Program(**parts(race_free=True)).to_bytes()).race_free
    header, blobs = header_of(Program(**parts(race_free=True)).to_bytes())
    del header["content"]["race_free"]
    assert not Program.from_bytes(sealed(header, blobs)).race_free
    header["content"]["race_free"] = 1
    assert "program.race_free must be bool, not 1" in refused(sealed(header, blobs))


def test_every_truncation_and_flip_is_refused():
    data = Program(**parts()).to_bytes()
    for length in range(len(data)):
        refused(data[:length])
    refused(data + b"\0")
    rng = np.random.default_rng(1)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(rng.integers(8))
        refused(bytes(damaged))


def test_absurd_sizes_cost_nothing():
    data = bytearray(Program(**parts()).to_bytes())
    tracemalloc.start()
    for offset, layout in ((12, "<I"), (16, "<Q")):
        damaged = bytearray(data)
        struct.pack_into(layout, damaged, offset, (1 << 8 * struct.calcsize(layout)) - 1)
        refused(bytes(damaged))
    header, blobs = header_of(bytes(data))
    for value in (1 << 60, -1, 1.5, None, "9", True, [1]):
        header["content"]["instructions"] = value
        assert "instructions" in refused(sealed(header, blobs))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"null",
        b"{}",
        b'{"isa":1,"config_hash":"","content":[]}',
        b"\xff\xfe",
        b"[1" * 3000,
        b"9" * 9999,
    ],
)
def test_crafted_headers_are_refused(content):
    refused(sealed(content))


def test_every_missing_or_mistyped_entry_is_refused():
    header, blobs = header_of(Program(**parts()).to_bytes())

    def places(node, path=()):
        if isinstance(node, dict | list):
            for key in node if isinstance(node, dict) else range(len(node)):
                yield (*path, key)
                yield from places(node[key], (*path, key))

    for path in list(places(header)):
        for wrong in ({"a": 1}, [[]], 1 << 70, "\x00"):
            damaged = json.loads(json.dumps(header))
            node = damaged
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = wrong
            try:
                Program.from_bytes(sealed(damaged, blobs), origin="p.tw")
            except ProgramError as error:
                assert "\n" not in str(error)
            else:
                assert path[-1] in ("name", "role", "operator", "macs", "triple", "cpu", "zero_point"), (path, wrong)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"instructions": np.zeros((2, 63), np.uint8)}, r"shape \(n, 64\)"),
        ({"steps": (Run(first=0, count=1),)}, "step 0 must end with FINISH"),
        ({"steps": (Run(first=1, count=2),)}, "step 0 must lie within 0 to 2, not 1 to 3"),
        ({"steps": (Call(symbol="gelu", arguments=()),)}, "step 0 calls gelu"),
        ({"steps": (Call(symbol="softmax", arguments=("z",)),)}, "buffer z"),
        ({"buffers": ()}, "tensor x lies in buffer in"),
        ({"segments": ()}, "buffer in is in segment 1"),
        ({"segments": (Segment(name="a", size=1, role="r"),) * 2}, "a is used twice"),
        ({"inputs": (Tensor(name="x", shape=(65,), dtype="int8", buffer="in"),)}, "65 bytes must fit its buffer of 64"),
        ({"layers": (Layer(name="c", operator="", target="host", macs=0, first=2, count=1),)}, "layer c"),
    ],
)
def test_inconsistent_programs_are_refused(changes, words):
    with pytest.raises(ProgramError, match=words):
        Program(**parts(**changes))


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(ProgramError, match="does not exist"):
        Program.load(tmp_path / "none.tw")
    (tmp_path / "text.tw").write_text("hello")
    with pytest.raises(ProgramError, match="not a program file"):
        Program.load(tmp_path / "text.tw")
    with pytest.raises(ProgramError, match="must be writable"):
        Program(**parts()).save(tmp_path / "no" / "folder.tw")
