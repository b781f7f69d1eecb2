"""The object code links by itself: no library but the C library's memory functions, three ways of loading."""

import ctypes
import platform
import shutil
import struct
import subprocess
import time

import llvmlite.binding as llvm
import numpy as np
import pytest
from tilewright.compiler import host, te
from tilewright.compiler.te import layout, nn
from tilewright.errors import TilewrightError
from tilewright.isa.program import HostCode

MEMORY_FUNCTIONS = {"memcpy", "memmove", "memset"}


def functions():
    x = te.placeholder((3, 1000), "float32", "x")
    q = te.placeholder((1, 21, 8, 8), "int8", "q")
    every = nn.softmax(te.compute(x.shape, lambda i, j: te.tanh(te.log(te.sqrt(te.abs(x[i, j])) + 1.0)), "every"))
    floors = te.compute(x.shape, lambda i, j: te.floor(x[i, j]), "floors")
    return [
        host.lower_call("softmax", [x], [nn.softmax(x)]),
        host.lower_call("every", [x], [every]),
        host.lower_call("quantize", [x], [nn.quantize(floors, 0.1, 3, "int8")]),
        host.lower_call("pack", [q], [layout.pack(q, 16)]),
        host.lower_call("copy", [q], [layout.reshape(q, (21 * 64,))]),
    ]


def undefined_symbols(object_: bytes) -> set[str]:
    """Of a 64-bit little-endian ELF relocatable."""
    (table,) = struct.unpack_from("<Q", object_, 0x28)
    entry, count = struct.unpack_from("<HH", object_, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", object_, table + n * entry) for n in range(count)]
    found = set()
    for _, kind, _, _, offset, size, link, _, _, _ in sections:
        if kind == 2:
            names = sections[link][4]
            for place in range(offset + 24, offset + size, 24):
                name, info, _, section = struct.unpack_from("<IBBH", object_, place)
                if section == 0 and info >> 4:
                    found.add(object_[names + name : object_.index(b"\0", names + name)].decode())
    return found


@pytest.mark.parametrize(
    ("triple", "cpu", "features"),
    [
        (None, None, None),
        ("x86_64-unknown-linux-gnu", "x86-64", None),
        ("x86_64-unknown-linux-gnu", "skylake-avx512", None),
        ("aarch64-unknown-linux-gnu", None, None),
        ("riscv64-unknown-linux-gnu", "generic-rv64", "+m,+f,+d,+v"),
    ],
)
def test_nothing_but_memory_functions_is_undefined(triple, cpu, features):
    code = host.build(functions(), triple=triple, cpu=cpu, features=features)
    assert isinstance(code, HostCode)
    assert code.symbols == ("softmax", "every", "quantize", "pack", "copy")
    assert code.object[:4] == b"\x7fELF"
    assert undefined_symbols(code.object) <= MEMORY_FUNCTIONS | {"_GLOBAL_OFFSET_TABLE_"}


def check(address_of):
    data = np.random.default_rng(0).standard_normal((3, 1000)).astype(np.float32)
    result = np.zeros_like(data)
    pointers = (ctypes.c_void_p * 2)(data.ctypes.data, result.ctypes.data)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address_of("softmax"))(ctypes.addressof(pointers))
    powers = np.exp(data - data.max(axis=1, keepdims=True))
    np.testing.assert_allclose(result, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)


def test_mcjit_links_it():
    code = host.build(functions())
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(code.object))
    engine.finalize_object()
    check(engine.get_function_address)


@pytest.mark.skipif(platform.system() != "Linux" or not shutil.which("cc"), reason="needs a linker")
def test_a_shared_library_of_it_loads(tmp_path):
    (tmp_path / "host.o").write_bytes(host.build(functions()).object)
    subprocess.run(["cc", "-shared", "-o", "host.so", "host.o"], cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "host.so"))
    check(lambda name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value)


def test_the_same_functions_give_the_same_object():
    assert host.build(functions()).object == host.build(functions()).object


def test_errors_name_the_way_out():
    with pytest.raises(TilewrightError, match=r"triple must name a CPU that LLVM knows, .*, not 'pdp11'"):
        host.build(functions(), triple="pdp11")
    with pytest.raises(ValueError, match="must have different names"):
        host.build(functions()[:1] * 2)
    x = te.placeholder((3,), "float32", "x")
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        host.lower_call("a b", [x], [nn.relu(x)])


def test_small_calls_take_microseconds():
    machine = llvm.Target.from_default_triple().create_target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(host.build(functions()).object))
    engine.finalize_object()
    for name, sizes in (("softmax", (12000, 12000)), ("pack", (21 * 64, 32 * 64))):
        buffers = [np.zeros(size, np.uint8) for size in sizes]
        pointers = (ctypes.c_void_p * 2)(*[buffer.ctypes.data for buffer in buffers])
        call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.get_function_address(name))
        times = []
        for _ in range(20):
            start = time.perf_counter()
            call(ctypes.addressof(pointers))
            times.append(time.perf_counter() - start)
        assert min(times) < 100e-6
