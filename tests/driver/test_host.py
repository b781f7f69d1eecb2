"""Host code linked by the system's linker and by LLVM: the same functions, the same refusals."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from tilewright import toolchain
from tilewright.cache import CACHE_VARIABLE
from tilewright.driver.host import HostFunctions
from tilewright.driver.host_jit import JitLibrary
from tilewright.driver.host_library import HostLibrary
from tilewright.errors import DeviceError
from tilewright.isa.program import HostCode

# copy: 4,096 bytes from one buffer to another, which calls memcpy.
HOST_IR = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @copy(ptr %buffers) {
entry:
  %from = load ptr, ptr %buffers
  %slot = getelementptr ptr, ptr %buffers, i64 1
  %to = load ptr, ptr %slot
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 4096, i1 false)
  ret void
}
"""


@pytest.fixture(scope="module")
def code() -> HostCode:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    triple = llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(reloc="pic", codemodel="small")
    content = machine.emit_object(llvm.parse_assembly(HOST_IR))
    return HostCode(triple=triple, cpu="generic", object=content, symbols=("copy",))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("way", [HostLibrary, JitLibrary])
def test_both_ways_call_it(way: type, code: HostCode) -> None:
    library = way(code)
    functions = HostFunctions(code)
    functions._library = library
    data, result = np.arange(4096, dtype=np.int32).view(np.uint8)[:4096], np.zeros(4096, np.uint8)
    functions.call("copy", [data, result])
    assert np.array_equal(data, result)


def test_a_library_is_linked_once(cache: Path, code: HostCode, monkeypatch: pytest.MonkeyPatch) -> None:
    HostLibrary(code)
    (entry,) = (path for path in cache.iterdir() if path.is_dir())
    assert [path.name for path in entry.iterdir()] == ["host.so"]
    monkeypatch.setattr("tilewright.driver.host_library.run_tool", None)
    HostLibrary(code)


def test_what_cannot_be_linked(cache: Path, code: HostCode) -> None:
    with pytest.raises(DeviceError, match=r"(gcc|cc|clang) must succeed"):
        HostLibrary(replace(code, object=b"garbage"))
    with pytest.raises(DeviceError, match=r"must load, but it does not: .*missing"):
        HostLibrary(replace(code, symbols=("missing",)))
    with pytest.raises(DeviceError, match=r"host code must be for .*, not riscv64-unknown-linux-gnu \(generic\)"):
        HostLibrary(replace(code, triple="riscv64-unknown-linux-gnu"))
    cache.chmod(0o777)
    with pytest.raises(DeviceError, match="writable by nobody else"):
        HostLibrary(code)


SCRIPT = """
import sys
import numpy as np
from pathlib import Path
from tilewright.driver.host import HostFunctions
from tilewright.isa.program import HostCode
triple, path = sys.argv[1:]
code = HostCode(triple=triple, cpu="generic", object=Path(path).read_bytes(), symbols=("copy",))
data, result = np.arange(4096).astype(np.uint8), np.zeros(4096, np.uint8)
HostFunctions(code).call("copy", [data, result])
assert np.array_equal(data, result)
print("llvmlite" in sys.modules)
"""


@pytest.mark.parametrize("compiler", [True, False])
def test_llvm_is_loaded_only_where_it_is_needed(
    compiler: bool, code: HostCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiler and not toolchain.has_compiler():
        pytest.skip("needs a linker")
    (tmp_path / "host.o").write_bytes(code.object)
    if not compiler:
        monkeypatch.setenv("PATH", str(tmp_path))
    command = [sys.executable, "-c", SCRIPT, code.triple, str(tmp_path / "host.o")]
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert said == (["True", "False"] if compiler else ["True", "True"])
